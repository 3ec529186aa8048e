# SPDX-License-Identifier: BSL-1.0
"""The reference of the interface, as Markdown: a page for each header that has public names.

tests/headers/names says which names are public, and Doxygen reads the headers. A comment belongs to
the declaration below it, and to those that follow without an empty line or another comment.
"""

import pathlib
import re
import subprocess
import textwrap
import xml.etree.ElementTree as ET

# What a room is called in the navigation. The first room is the one that a page of another is in.
ROOMS = {
    "channel": "Channels",
    "service": "Services",
    "loop": "Loops",
    "coro": "Coroutines",
    "": "Errors and values",
    "asio": "Asio",
    "sys": "Of the system",
}
OTHER_ROOM = "channel"
CONTRACT = r"(?:Errors|Thread-safety|Cancellation|Lifetime|Completion signature|Handlers|Cost)"
# What says all by being what it is: no comment is asked for.
EVIDENT = re.compile(r"~|operator(?: |==|<=>|=|\*|->)|other$")


class Declaration:
    def __init__(self, element, source):
        self.name = re.sub(r"^ringbell::|<.*", "", element.findtext("compoundname", "")) or (
            element.findtext("name").strip()
        )
        if not self.name.startswith("operator"):
            self.name = self.name.rpartition("::")[2]
        self.kind = element.get("kind")
        self.element = element
        at = element.find("location")
        self.header = at.get("file")
        self.line = int(at.get("line"))
        self.source = source
        self.documented = any(
            "".join(element.find(part).itertext()).strip()
            for part in ("briefdescription", "detaileddescription")
        )
        self.begin, self.end = source.extent(self.line, self.kind)

    @property
    def code(self):
        return self.source.code(self.begin, self.end)

    @property
    def first_line(self):
        return self.source.line_of(self.begin)

    @property
    def last_line(self):
        return self.source.line_of(self.end)


class Source:
    """The text of a header, without its comments and directives, which are blank."""

    def __init__(self, path):
        def blank(found):
            return re.sub(r"[^\n]", " ", found[0])

        self.raw = path.read_text(encoding="utf-8")
        text = re.sub(r"//[^\n]*|^ *#(?:[^\n]*\\\n)*[^\n]*", blank, self.raw, flags=re.MULTILINE)
        self.text = re.sub(r"^ *(public|protected|private):", blank, text, flags=re.MULTILINE)
        self.starts = [0] + [found.end() for found in re.finditer(r"\n", text)]

    def line_of(self, place):
        return self.text.count("\n", 0, place) + 1

    def extent(self, line, kind):
        """The places where a declaration begins and ends, given the line of its name."""
        text, place = self.text, self.starts[line - 1]
        begin = max(text.rfind(c, 0, place) for c in ";{}") + 1
        begin += len(text[begin:]) - len(text[begin:].lstrip())
        if kind == "enum" and "///" not in self.raw[begin : text.find("}", begin)]:
            return begin, text.find("}", begin) + 1
        depth, end = 0, max(begin, place)
        while end < len(text):
            c = text[end]
            depth += (c in "([") - (c in ")]")
            if depth == 0 and (c == ";" or (c == "{" and kind not in ("variable", "typedef"))):
                break
            if depth == 0 and c == ":" and kind == "function" and ":" not in (
                text[end - 1],
                text[end + 1],
            ):
                break
            end += 1
        return begin, end

    def code(self, begin, end):
        indent = begin - self.text.rfind("\n", 0, begin) - 1
        lines = (" " * indent + self.text[begin:end].rstrip()).splitlines()
        return "\n".join(line[indent:].rstrip() for line in lines if line.strip())


class Reference:
    def __init__(self, root, work):
        self.root = root
        self.problems = []
        self.sources = {}
        self.places = {}  # by Doxygen's id: the page and its anchor
        self.pages = {}  # by path: the text
        self.names = dict(
            line.split()
            for line in subprocess.run(
                [root / "tests/headers/names"], check=True, capture_output=True, text=True
            ).stdout.splitlines()
        )
        self.doxygen(work)
        self.collect()

    def doxygen(self, work):
        work.mkdir(parents=True, exist_ok=True)
        settings = (self.root / "docs/site/Doxyfile").read_text(encoding="utf-8")
        settings += f"INPUT = include/ringbell\nXML_OUTPUT = {work}\n"
        done = subprocess.run(
            ["doxygen", "-"], input=settings, cwd=self.root, capture_output=True, text=True, check=True
        )
        for line in done.stderr.splitlines():
            # Doxygen does not know the specializations of std's templates and of the promises.
            if not re.search(r"is_error_code_enum|task_promise::get_return_object", line):
                self.problems.append(line)
        self.compounds = {}
        for path in sorted(work.glob("*.xml")):
            if path.name != "index.xml":
                for one in ET.parse(path).getroot().iter("compounddef"):
                    self.compounds[one.get("id")] = one

    def source(self, header):
        if header not in self.sources:
            self.sources[header] = Source(self.root / "include" / header)
        return self.sources[header]

    def declaration(self, element):
        return Declaration(element, self.source(element.find("location").get("file")))

    def collect(self):
        """Finds the declarations of each public name."""
        self.found = {name: [] for name in self.names}
        for one in self.compounds.values():
            full = one.findtext("compoundname")
            if one.get("kind") in ("class", "struct"):
                name = re.sub(r"^ringbell::|<.*", "", full).strip()
                if full.startswith("ringbell::") and name in self.found:
                    self.found[name].append(self.declaration(one))
            elif one.get("kind") == "namespace" and full in ("ringbell", "ringbell::sys"):
                inner = full.removeprefix("ringbell").removeprefix("::")
                for member in one.iter("memberdef"):
                    name = "::".join(part for part in (inner, member.findtext("name")) if part)
                    if name in self.found:
                        self.found[name].append(self.declaration(member))
        for name, all_of_it in self.found.items():
            if not all_of_it:
                self.problems.append(f"Doxygen finds no declaration of {name} ({self.names[name]})")
            all_of_it.sort(key=lambda one: (one.header, one.begin))

    def page_of(self, name):
        return "reference/" + self.names[name].removeprefix("ringbell/").removesuffix("hpp") + "md"

    def anchor_of(self, name):
        return name.rpartition("::")[2]

    def members(self, compound):
        """The public members, those of a base in `detail` included, in the source's order."""
        result = []
        for base in compound.findall("basecompoundref"):
            inner = self.compounds.get(base.get("refid"))
            if (
                inner is not None
                and base.get("prot") == "public"
                and "detail::" in inner.findtext("compoundname")
            ):
                result += self.members(inner)
        own = [
            member
            for section in compound.findall("sectiondef")
            for member in section.findall("memberdef")
            if member.get("prot") == "public"
        ]
        own += [
            self.compounds[inner.get("refid")]
            for inner in compound.findall("innerclass")
            if inner.get("prot") == "public" and inner.get("refid") in self.compounds
        ]
        own = [self.declaration(one) for one in own if self.of_the_interface(one)]
        own.sort(key=lambda one: one.begin)
        return result + own

    def of_the_interface(self, member):
        name = member.findtext("name") or member.findtext("compoundname")
        # An awaitable is awaited where it is returned, and its name is not for programs.
        if re.search(r"await(able|er)$|^await_", name.rpartition("::")[2]):
            return False
        return not (member.get("kind") == "friend" and "operator" not in name)

    def groups(self, members):
        """Members that have one comment together."""
        result = []
        for one in members:
            previous = result[-1][-1] if result else None
            if (
                previous
                and not one.documented
                and one.header == previous.header
                and not re.search(
                    r"\n[ \t]*\n", self.source(one.header).raw[previous.end : one.begin]
                )
            ):
                result[-1].append(one)
            else:
                result.append([one])
        return result

    def check_comments(self, owner, groups):
        documented = {one.name for group in groups if group[0].documented for one in group}
        for group in groups:
            for one in group:
                evident = one.name in documented or EVIDENT.search(one.name)
                if not group[0].documented and not evident and one.name != owner:
                    self.problems.append(
                        f"include/{one.header}:{one.line}: {owner + '::' if owner else ''}{one.name}"
                        " is public and has no comment"
                    )

    # -- Markdown --

    def build(self):
        by_page = {}
        for name in self.names:
            by_page.setdefault(self.page_of(name), []).append(name)
        for page, names in by_page.items():
            for name in names:
                for one in self.found[name]:
                    self.places[one.element.get("id")] = (page, self.anchor_of(name))
        for page, names in sorted(by_page.items()):
            self.pages[page] = self.page(page, names)
        return self

    def navigation(self):
        rooms = {room: [] for room in ROOMS}
        for page in sorted(self.pages):
            folder = page.split("/")[1] if page.count("/") > 1 else ""
            rooms[folder if folder in rooms else OTHER_ROOM].append(page)
        return [{ROOMS[room]: pages} for room, pages in rooms.items()]

    def page(self, page, names):
        header = self.names[names[0]]
        names = sorted((name for name in names if self.found[name]), key=self.order)
        lines = [f"# {header.removeprefix('ringbell/')}", "", f"`#include <{header}>`", ""]
        for name in names:
            self.name(lines, page, name)
        return "\n".join(lines) + "\n"

    def order(self, name):
        return (self.found[name][0].header != self.names[name], self.found[name][0].begin)

    def name(self, lines, page, name):
        lines += [f"## {code(name)} {{#{self.anchor_of(name)}}}", ""]
        groups = self.groups(self.found[name])
        self.check_comments("", groups)
        for group in groups:
            self.fence(lines, group)
            self.description(lines, page, group[0].element)
            for one in group:
                if one.kind in ("class", "struct"):
                    self.content(lines, page, one)
                elif one.kind == "enum":
                    self.values(lines, page, one)

    def content(self, lines, page, owner):
        groups = self.groups(self.members(owner.element))
        if "<" in owner.element.findtext("compoundname"):  # a specialization: what is special in it
            groups = [group for group in groups if group[0].documented]
        self.check_comments(owner.name, groups)
        fields = [group for group in groups if group[0].kind == "variable"]
        for group in groups:
            if group not in fields:
                self.member(lines, page, owner, group)
        if fields:
            lines += ["<dl class='fields' markdown>", ""]
            for group in fields:
                for one in group:
                    lines += [f"<dt markdown>{code(' '.join(one.code.split()))}</dt>", ""]
                lines += ["<dd markdown>", ""]
                self.description(lines, page, group[0].element)
                lines += ["</dd>", ""]
            lines += ["</dl>", ""]

    def member(self, lines, page, owner, group):
        names = list(dict.fromkeys(one.name for one in group))
        anchor = f"{owner.name}-{re.sub('[^a-z0-9_]', '-', names[0])}"
        count = self.anchors(page, anchor)
        if count:
            anchor += f"-{count}"
        lines += [f"### {', '.join(code(name) for name in names)} {{#{anchor}}}", ""]
        self.fence(lines, group)
        self.description(lines, page, group[0].element)
        for one in group:
            if one.kind == "enum":
                self.values(lines, page, one)
            elif one.kind in ("class", "struct"):
                self.nested(lines, page, one)

    def anchors(self, page, anchor):
        seen = self.places.setdefault(page, {})
        seen[anchor] = seen.get(anchor, -1) + 1
        return seen[anchor]

    def nested(self, lines, page, owner):
        groups = self.groups(self.members(owner.element))
        self.check_comments(owner.name, groups)
        for group in groups:
            self.fence(lines, group)
            self.description(lines, page, group[0].element)

    def values(self, lines, page, owner):
        """The values of an enum, unless its own comment names them all."""
        text = "".join(owner.element.find("detaileddescription").itertext())
        text += "".join(owner.element.find("briefdescription").itertext())
        names = [value.findtext("name") for value in owner.element.findall("enumvalue")]
        if all(re.search(rf"\b{name}\b", text) for name in names):
            return
        lines += ["<dl class='fields' markdown>", ""]
        for value in owner.element.findall("enumvalue"):
            initial = value.findtext("initializer") or ""
            name = value.findtext("name")
            lines += [f"<dt markdown>{code(' '.join((name + ' ' + initial).split()))}</dt>", ""]
            lines += ["<dd markdown>", ""]
            before = len(lines)
            self.description(lines, page, value)
            if len(lines) == before:
                self.problems.append(f"include/{owner.header}: {owner.name}::{name} has no comment")
            lines += ["</dd>", ""]
        lines += ["</dl>", ""]

    def fence(self, lines, group):
        lines += ["```cpp"]
        for one in group:
            lines += [one.code + (";" if one.kind not in ("class", "struct", "enum") else "")]
        lines += ["```", ""]

    def description(self, lines, page, element):
        contract = []
        for part in ("briefdescription", "detaileddescription"):
            for block in element.find(part):
                self.block(lines, contract, page, block)
        if contract:
            lines += ["<dl class='contract' markdown>", ""]
            for label, text in contract:
                lines += [f"<dt markdown>{label}</dt>", "", f"<dd markdown>{text}</dd>", ""]
            lines += ["</dl>", ""]

    def block(self, lines, contract, page, block):
        """A paragraph. Lines of a contract are kept for the end."""
        if block.tag != "para":
            self.problems.append(f"{page}: there is no rule for <{block.tag}> of Doxygen")
            return
        for piece in self.inline(page, block).split("<br>"):
            if piece.startswith("```"):
                lines += [*piece.splitlines(), ""]
                continue
            text = " ".join(piece.split())
            found = re.match(rf"({CONTRACT}[^:]{{0,40}}): (.*)", text)
            if found:
                contract.append([found[1], found[2]])
            elif text and contract:
                contract[-1][1] += f"<br>{text}"
            elif text:
                lines += [text, ""]

    def inline(self, page, element):
        text = escape(element.text)
        for child in element:
            if child.tag == "computeroutput":
                text += self.code_span(page, child)
            elif child.tag == "ref":
                text += escape("".join(child.itertext()))
            elif child.tag == "linebreak":
                text += "<br>"
            elif child.tag == "verbatim":
                code_lines = textwrap.dedent("".join(child.itertext())).strip("\n")
                text += f"<br>```cpp\n{code_lines}\n```<br>"
            else:
                self.problems.append(f"{page}: there is no rule for <{child.tag}> of Doxygen")
            text += escape(child.tail)
        return text

    def code_span(self, page, element):
        text = "".join(element.itertext())
        found = re.match(r"(?:ringbell::)?([\w:]+?)(?:::(\w+))?(?:\(.*\))?$", text)
        for name in (found[0], found[1]) if found else ():
            name = name.removesuffix("()")
            if self.found.get(name):
                target = self.page_of(name)
                up = "../" * (page.count("/"))
                link = "" if target == page else up + target
                return f"[{code(text)}]({link}#{self.anchor_of(name)})"
        return code(text)


def escape(text):
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text or "").replace("\\<", "&lt;")


def code(text):
    return f"`{text}`"


def build(root, work):
    return Reference(pathlib.Path(root), pathlib.Path(work)).build()

