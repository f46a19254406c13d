"""The pool of loaded models: loaded once, shared by all, least recently used out first."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable

from imgsynth.families import Model
from imgsynth.runtime.forks import renew_in_children

DEFAULT_BUDGET = 4 * 2**30


class ModelPool:
    """Keeps models until their weights exceed a budget.

    A model that fails to load changes nothing: what was there stays. Evicted models live on
    for as long as somebody is still using them.
    """

    def __init__(self, budget: int = DEFAULT_BUDGET) -> None:
        self.budget = budget
        self._models: OrderedDict[Hashable, Model] = OrderedDict()
        self.renew_locks()
        renew_in_children(self)

    def renew_locks(self) -> None:
        """A forked process has the models that were there, and loads anew what was on its way."""
        self._lock = threading.Lock()
        self._loading: defaultdict[Hashable, threading.Lock] = defaultdict(threading.Lock)

    def get(self, key: Hashable, load: Callable[[], Model]) -> Model:
        """The model of `key`; `load` is called at most once at a time per key, and only when needed."""
        if (model := self._used(key)) is not None:
            return model
        with self._lock:
            loading = self._loading[key]
        with loading:
            if (model := self._used(key)) is not None:
                return model
            model = load()
            self._keep(key, model)
            return model

    def _used(self, key: Hashable) -> Model | None:
        with self._lock:
            if key in self._models:
                self._models.move_to_end(key)
            return self._models.get(key)

    def _keep(self, key: Hashable, model: Model) -> None:
        with self._lock:
            self._models[key] = model
            while len(self._models) > 1 and self._bytes() > self.budget:
                self._models.popitem(last=False)

    def _bytes(self) -> int:
        return sum(m.bytes_in_memory for m in self._models.values())

    def loaded(self) -> list[Model]:
        """What is in memory now, least recently used first."""
        with self._lock:
            return list(self._models.values())

    def bytes_in_memory(self) -> int:
        with self._lock:
            return self._bytes()
