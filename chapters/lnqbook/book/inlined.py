"""A built page as one file: styles, scripts, pictures and tables inside."""

from __future__ import annotations

import base64
import mimetypes
import re
from pathlib import Path
from urllib.parse import unquote

from bs4 import BeautifulSoup

MATHJAX = ("tex-chtml.js", "tex-svg.js")
"""The book's MathJax loads fonts; the other has its letters inside."""
NOWHERE = ".bd-sidebar-primary, .search-button, .search-button__button, .pst-js-only.search-button"
"""What leads to other pages of the book."""


def whole(page: Path) -> str:
    """The HTML of a built page with all that it loads."""
    soup = BeautifulSoup(page.read_text(encoding="utf8"), "html.parser")
    for link in soup.select("link"):
        path = _local(page, link.get("href", ""))
        if "stylesheet" in link.get("rel", []) and path:
            style = soup.new_tag("style")
            style.string = styles(path)
            link.replace_with(style)
        else:
            link.decompose()
    for script in soup.select("script[src]"):
        path = _local(page, script["src"])
        if path and path.name == MATHJAX[0]:
            path = path.with_name(MATHJAX[1])
        if path is None or path.name in ("searchindex.js", "searchtools.js", "language_data.js"):
            script.decompose()
            continue
        inside = soup.new_tag("script")
        inside.string = re.sub(r"</(?=script)", r"<\\/", path.read_text(encoding="utf8"))
        if script.has_attr("defer"):  # only a script with a source can wait
            script.extract()
            soup.body.append(inside)
        else:
            script.replace_with(inside)
    for image in soup.select("img[src]"):
        if path := _local(page, image["src"]):
            image["src"] = data(path)
    for link in soup.select("a.enlarge"):  # the script shows the picture that is there
        figure = link.find_parent("figure") or link.parent.find_previous_sibling("figure")
        link["href"] = f"#{figure['id']}"
    for link in soup.select("a[download]"):
        if path := _local(page, link["href"]):
            link["href"] = data(path)
    ids = {part["id"] for part in soup.select("[id]")}
    for link in soup.select("a[href]"):  # of other pages the words alone are left
        address = link["href"]
        inside = address.startswith("#") and (address == "#" or unquote(address[1:]) in ids)
        if not inside and not re.match(r"[a-z]+:", address):
            link.unwrap()
    for part in soup.select(NOWHERE):
        part.decompose()
    return str(soup)


def styles(path: Path) -> str:
    """A style sheet with the sheets, fonts and pictures that it names."""

    def sheet(found: re.Match) -> str:
        file = _local(path, found[1])
        return styles(file) if file else ""

    def put(found: re.Match) -> str:
        file = _local(path, found[1].strip("'\""))
        return f"url({data(file)})" if file else found[0]

    text = re.sub(r"url\(((?!['\"]?data:)[^)]+)\)", put, path.read_text(encoding="utf8"))
    return re.sub(r"@import\s+(?:url\()?['\"]?([^'\");]+)['\"]?\)?\s*;", sheet, text)


def data(path: Path) -> str:
    """A file as a `data:` address."""
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _local(page: Path, address: str) -> Path | None:
    """The file that an address on a page names, if there is one."""
    if not address or re.match(r"[a-z]+:|#|//", address):
        return None
    path = page.parent / unquote(re.sub(r"[?#].*", "", address))
    return path if path.is_file() else None
