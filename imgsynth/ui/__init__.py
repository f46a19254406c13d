"""The page: one file per tab, wiring only. Nothing outside this folder knows Gradio."""
