"""Entry point of the Space and of `python app.py`."""

from imgsynth.ui.app import launch

if __name__ == "__main__":
    launch()
