"""Reads a page more strictly than a browser, which mends what is wrong without a word."""

from html.parser import HTMLParser

_VOID = {"meta", "img", "br", "hr", "input", "link"}


class Page(HTMLParser):
    """What a page holds; fails on tags that do not match, repeated ids and foreign addresses.

    Attributes:
        texts: list of (open tags, text) of every text outside style and script.
        tags: list of (tag, attributes).
    """

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.stack, self.texts, self.tags, self.ids = [], [], [], set()
        assert source.startswith("<!DOCTYPE html>\n")
        self.feed(source)
        self.close()
        assert not self.stack, f"never closed: {self.stack}"

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(set(names)) == len(names), (tag, names)
        attributes = dict(attributes)
        assert not any(name.startswith("on") or name == "style" for name in names), (tag, names)
        for name in {"src", "href", "action", "data", "srcset", "poster"} & set(names):
            start = "data:image/" if name == "src" else "#"
            assert attributes[name].startswith(start), (tag, attributes[name][:80])
        assert tag not in {"link", "iframe", "object", "base", "form"}
        if "id" in attributes:
            assert attributes["id"] not in self.ids, attributes["id"]
            self.ids.add(attributes["id"])
        self.tags.append((tag, attributes))
        if tag not in _VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert "svg" in self.stack, f"<{tag}/> outside of SVG"
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.stack and self.stack[-1] == tag, f"</{tag}> within {self.stack}"
        self.stack.pop()

    def handle_data(self, data):
        if self.stack and self.stack[-1] not in {"style", "script"} and data.strip():
            self.texts.append((tuple(self.stack), data.strip()))

    def of(self, tag):
        """All texts directly within this tag."""
        return [text for stack, text in self.texts if stack[-1] == tag]

    def count(self, tag, **attributes):
        """How often the tag stands there with these attributes."""
        return sum(one == tag and attributes.items() <= found.items() for one, found in self.tags)
