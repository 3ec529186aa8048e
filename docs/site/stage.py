# SPDX-License-Identifier: BSL-1.0
"""A hook of MkDocs: gathers the pages of the site.

The documents are written to be read in the repository. Here they are copied, and each link that
leads to a file of the repository leads to a page: the same document, a view of the source, or a
list of what is in a folder.
"""

import json
import logging
import os
import pathlib
import posixpath
import re
import sys

sys.path.insert(0, os.path.dirname(__file__))
import reference  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOG = logging.getLogger("mkdocs.plugins.ringbell")  # a warning is an error with --strict

LANGUAGES = {".hpp": "cpp", ".cpp": "cpp", ".ipp": "cpp", ".py": "python", ".proto": "protobuf"}
# A path in a code span leads to the source, whichever of these folders it is relative to.
SOURCE_FOLDERS = ("", "include/ringbell/", "src/")
SOURCE_SPAN = re.compile(r"(?<!\[)`([\w.-]+(?:/[\w.-]+)+)`(?!\])")


def page_of(path):
    """The page that shows a file or folder of the repository."""
    if path == "README.md":
        return "index.md"
    if re.match(r"docs/(figures/|[^.]*\.md$)", path):
        return path.removeprefix("docs/")
    if path == "SECURITY.md":  # docs/security.md has that name
        return "security-policy.md"
    if path == "docs/decisions":
        return "decisions/index.md"
    if (ROOT / path / "README.md").is_file():
        return path + ".md"
    if path.endswith("/README.md"):
        return posixpath.dirname(path) + ".md"
    if path.endswith(".md"):
        return path.lower()
    shown = path.removeprefix(".")  # MkDocs ignores files and folders with a dot
    return f"source/{shown}/index.md" if (ROOT / path).is_dir() else f"source/{shown}.md"


class Stage:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.written = set()
        self.sources = set()  # the files and folders that pages link to

    def write(self, page, text):
        """Leaves a file alone that is as it was, so that `mkdocs serve` sees no change."""
        data = text if isinstance(text, bytes) else text.encode()
        path = self.folder / page
        self.written.add(path)
        if not path.is_file() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def document(self, path):
        text = (ROOT / path).read_text(encoding="utf-8")
        # Neither blocks of code nor, but for the last rule, code spans have links.
        pieces = re.split(r"(^```.*?^```$|`[^`\n]+`)", text, flags=re.MULTILINE | re.DOTALL)
        for i in range(0, len(pieces), 2):
            pieces[i] = re.sub(
                r"\]\(([^)\s#]+)(#[^)\s]*)?\)",
                lambda found: f"]({self.target(path, found[1])}{found[2] or ''})",
                pieces[i],
            )
        for i in range(1, len(pieces), 2):
            if not (pieces[i - 1].endswith("[") or pieces[i].startswith("```")):
                pieces[i] = self.span(path, pieces[i])
        return "".join(pieces)

    def span(self, path, span):
        if SOURCE_SPAN.fullmatch(span):
            name = span.strip("`")
            for folder in SOURCE_FOLDERS:
                if (ROOT / folder / name).is_file():
                    return f"[{span}]({self.link(path, folder + name)})"
        return span

    def target(self, path, target):
        if re.match(r"\w+:", target):
            return target
        full = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if not (ROOT / full).exists():
            LOG.warning(f"{path} links to {full}, which does not exist")
        return self.link(path, full)

    def link(self, path, full):
        page = page_of(full)
        if page.startswith("source/"):
            self.sources.add(full)
        return posixpath.relpath(page, posixpath.dirname(page_of(path)) or ".")

    def source(self, path):
        """A view of a file, or the list of what is in a folder."""
        if (ROOT / path).is_dir():
            entries = sorted(
                one for one in (ROOT / path).iterdir() if one.name not in (".git", "__pycache__")
            )
            lines = []
            for one in entries:
                inner = one.relative_to(ROOT).as_posix()
                slash = "/" if one.is_dir() else ""
                target = page_of(inner)
                if target.startswith("source/"):
                    self.sources.add(inner)
                target = posixpath.relpath(target, posixpath.dirname(page_of(path)))
                lines.append(f"- [`{one.name}{slash}`]({target})")
            return f"# {path}/\n\n" + "\n".join(lines) + "\n"
        text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
        language = LANGUAGES.get(pathlib.Path(path).suffix, "")
        if text.startswith("#!"):
            language = "python" if "python" in text.splitlines()[0] else "sh"
        return f"# {path}\n\n~~~~{language}\n{text}\n~~~~\n"

    def decisions(self):
        lines, pages = ["# Decisions", "", "Why ringbell is as it is.", ""], ["decisions/index.md"]
        for path in sorted((ROOT / "docs/decisions").glob("*.md")):
            title = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
            number, _, rest = title.partition(" ")
            lines.append(f"- {number} [{rest}]({path.name})")
            pages.append({title.replace("`", ""): f"decisions/{path.name}"})
        self.write("decisions/index.md", "\n".join(lines) + "\n")
        return pages

    def overview(self, text, api):
        """The names in the tables of api.md lead to the reference."""

        def linked(cell):
            return re.sub(
                r"`([\w:]+)`",
                lambda found: f"[{found[0]}]({api.page_of(found[1])}#{api.anchor_of(found[1])})"
                if found[1] in api.names
                else found[0],
                cell[0],
            )

        return re.sub(r"^\| `[^|]*\|", linked, text, flags=re.MULTILINE)


def stage(config):
    made = Stage(config["docs_dir"])
    api = reference.build(ROOT, ROOT / "build/docs-headers")
    for problem in api.problems:
        LOG.warning(problem)
    for page, text in api.pages.items():
        made.write(page, text)

    documents = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")]
    documents += [path.name for path in ROOT.glob("*.md")] + ["examples/README.md"]
    for path in documents:
        if (ROOT / path).is_file():
            text = made.document(path)
            made.write(page_of(path), made.overview(text, api) if path == "docs/api.md" else text)
    for path in (ROOT / "docs/figures").iterdir():
        made.write(f"figures/{path.name}", path.read_bytes())
    for name in ("bell.svg", "offline_search.js", "style.css"):
        made.write(name, (ROOT / "docs/site" / name).read_bytes())
    nav = {"decisions": made.decisions(), "reference": api.navigation()}
    shown = set()
    while made.sources - shown:
        for path in sorted(made.sources - shown):
            shown.add(path)
            made.write(page_of(path), made.source(path))

    for path in list(made.folder.rglob("*")):
        if path.is_file() and path not in made.written:
            path.unlink()
    return nav


def expanded(entries, made):
    """The navigation of mkdocs.yml, with what was made in place of its name."""
    result = []
    for one in entries:
        if isinstance(one, dict):
            ((title, inner),) = one.items()
            result.append({title: expanded(inner, made) if isinstance(inner, list) else inner})
        elif one == "decisions":
            result.append({"Decisions": made[one]})
        else:
            result += made.get(one, [one])
    return result


def pages_in(entries):
    for one in entries:
        inner = next(iter(one.values())) if isinstance(one, dict) else one
        yield from pages_in(inner) if isinstance(inner, list) else [inner]


def on_config(config):
    config["nav"] = expanded(config["nav"], stage(config))
    named = set(pages_in(config["nav"]))
    for path in sorted(pathlib.Path(config["docs_dir"]).rglob("*.md")):
        page = path.relative_to(config["docs_dir"]).as_posix()
        if page not in named and not page.startswith("source/"):
            LOG.warning(f"{page} has no place in the navigation (docs/site/mkdocs.yml)")
    return config


def on_post_build(config):
    """Sources are not searched. The index is a script as well, for pages that no server sends."""
    folder = pathlib.Path(config["site_dir"]) / "search"
    index = json.loads((folder / "search_index.json").read_text(encoding="utf-8"))
    index["docs"] = [one for one in index["docs"] if not one["location"].startswith("source/")]
    text = json.dumps(index, separators=(",", ":"))
    (folder / "search_index.json").write_text(text, encoding="utf-8")
    (folder / "search_index.js").write_text(f"var ringbell_index = {text};\n", encoding="utf-8")
