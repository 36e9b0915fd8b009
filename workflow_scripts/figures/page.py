"""The summary as a web page of its own, for the report."""

from __future__ import annotations

import markdown

STYLE = """
body { font-family: sans-serif; line-height: 1.5; margin: 1rem auto; max-width: 60rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #ddd; padding: 0.2rem 0.7rem; white-space: nowrap; }
"""


def page_of(text: str) -> str:
    """HTML of a Markdown text with tables; it loads nothing from elsewhere."""
    body = markdown.markdown(text, extensions=["tables"])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n<title>Summary</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
