"""A local Hub (hub_server.py) that can also be written to, as huggingface_hub's `upload_folder` does it.

What arrives becomes a commit that can be downloaded again. Large files go the way of git LFS, by a PUT to the
address that a batch request tells; their sha256 is checked, as the Hub does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

from hub_answers import Answer, RefusedError, Request, in_json
from hub_server import HubServer, _Handler

WRITE = re.compile(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main")
LFS = re.compile(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch")
PUT = re.compile(r"/upload/([0-9a-f]{64})")
LARGE = (".safetensors", ".jpg")


class _WritingHandler(_Handler):
    do_PUT = _Handler.do_GET  # noqa: N815, names of the base class


class WritableHub(HubServer):
    """A Hub with one account.

    Attributes:
        account: the owner that may write, with `token`.
        made: what `create_repo` asked for, by the name of the repository.
    """

    account, token = "me", "hf_mine"

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[str, dict[str, Any]] = {}
        self._large: dict[str, bytes] = {}
        self._endpoint.RequestHandlerClass = _WritingHandler

    def _answer_as_endpoint(self, request: Request) -> Answer:
        path = request.target.partition("?")[0]
        if match := PUT.fullmatch(path):  # the address itself is the permission, as on the Hub
            return self._take(match[1], request.body)
        if path == "/api/whoami-v2":
            self._check(request)
            return in_json({"type": "user", "name": self.account, "orgs": []})
        if path == "/api/repos/create":
            return self._create(request)
        if match := LFS.fullmatch(path):
            return self._tell_addresses(request)
        if match := WRITE.fullmatch(path):
            self._check(request, match[1])
            return (self._sort if match[2] == "preupload" else self._commit)(match[1], request)
        if path == "/api/validate-yaml":
            return in_json({"errors": [], "warnings": []})
        return super()._answer_as_endpoint(request)

    def _check(self, request: Request, name: str | None = None) -> None:
        if request.token != self.token:
            raise RefusedError(401, "Invalid credentials in Authorization header")
        if name is not None and name.partition("/")[0] != self.account:
            raise RefusedError(403, f"You don't have the rights to write to {name}")

    def _create(self, request: Request) -> Answer:
        wanted = json.loads(request.body)
        name = f"{wanted.get('organization') or self.account}/{wanted['name']}"
        self._check(request, name)
        place = {"url": f"{self.url}/{name}", "name": name}
        if name in self.made:
            return in_json({"error": "You already created this model repo", **place}, 409)
        self.made[name] = wanted
        self.add(name, {}, private_token=self.token if is_private(wanted) else None)
        return in_json(place)

    def _sort(self, name: str, request: Request) -> Answer:
        """Which files are large."""
        files = json.loads(request.body)["files"]
        modes = [(f["path"], "lfs" if f["path"].endswith(LARGE) else "regular") for f in files]
        return in_json({"files": [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes]})

    def _tell_addresses(self, request: Request) -> Answer:
        wanted = json.loads(request.body)
        objects = [
            {**o, "actions": {"upload": {"href": f"{self.url}/upload/{o['oid']}"}}} for o in wanted["objects"]
        ]
        return in_json({"transfer": "basic", "objects": objects})

    def _take(self, oid: str, content: bytes) -> Answer:
        if hashlib.sha256(content).hexdigest() != oid:
            raise RefusedError(400, "The content is not what was announced")
        self._large[oid] = content
        return Answer(200)

    def _commit(self, name: str, request: Request) -> Answer:
        files, large = {}, []
        for line in map(json.loads, request.body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self._large[value["oid"]]
                large.append(value["path"])
        token = self.token if is_private(self.made[name]) else None
        oid = self.add(name, files, lfs=large, private_token=token)
        return in_json({"commitUrl": f"{self.url}/{name}/commit/{oid}", "commitOid": oid, "success": True})


def is_private(wanted: dict[str, Any]) -> bool:
    """As `create_repo` says it; huggingface_hub 2 names a visibility, 1 a flag."""
    return bool(wanted.get("private")) or wanted.get("visibility") == "private"
