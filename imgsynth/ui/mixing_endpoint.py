"""The `/mix` endpoint."""

from __future__ import annotations

import gradio as gr

from imgsynth.tasks import mixing
from imgsynth.tasks.requests import MixRequest, make_request, parse_seeds
from imgsynth.ui.parameters import add, number, text
from imgsynth.ui.session import LANE, Session, new_folder, save, save_all, wanted


class MixingEndpoint:
    """The function behind the endpoint; its docstring is what API pages and MCP clients show."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def mix(
        self,
        checkpoint: str,
        sources: str,
        destinations: str,
        layers: str = "coarse",
        psi: float = 1.0,
        noise: str = "",
    ) -> list[str]:
        """Mixes the styles of seeds; returns a table of all mixtures, then each mixture alone, row by row.

        Args:
            checkpoint: catalog id, Hub name, or what /open calls it, of a network with a style per layer.
            sources: seeds whose styles are taken in the layers named, such as 1,2,5-10.
            destinations: seeds whose styles stay in all other layers.
            layers: coarse, middle, fine, or layers such as 4-7, counted from 0.
            psi: truncation from 0 to 2; 1 draws from the whole model.
            noise: random (of the destination's own), constant or none; empty takes the network's own kind.
        """
        request = make_request(
            MixRequest,
            sources=parse_seeds(sources or ""),
            destinations=parse_seeds(destinations or ""),
            layers=layers,
            psi=psi,
            noise=noise or None,
        )
        model, folder = self.session.model(checkpoint), new_folder()
        mixtures = list(wanted(mixing.mix(model, request)))
        table = save(mixing.table_of(model, request, mixtures), folder)
        return [table, *save_all(iter(mixtures), folder)]


def add_mixing_endpoint(session: Session) -> None:
    """Declares the endpoint inside the current Blocks, on components that no page shows."""
    seeds = [text("Seeds of the sources"), text("Seeds of the destinations")]
    layers = text("coarse, middle, fine, or layers such as 4-7", "coarse")
    noise = text("Noise: random, constant or none", "")
    inputs = [
        text("Catalog id or Hub name of a checkpoint"),
        *seeds,
        layers,
        number("Truncation", 1.0),
        noise,
    ]
    add(MixingEndpoint(session).mix, inputs, gr.File(file_count="multiple", visible=False), LANE)
