"""What the book's extension sets differently, on numbers and on small documents."""

import re
import sys

from conftest import ROOT
from docutils import nodes

sys.path.insert(0, str(ROOT / "chapters"))
import typography


def paragraph(*children) -> nodes.paragraph:
    whole = nodes.paragraph()
    whole += [nodes.Text(child) if isinstance(child, str) else child for child in children]
    for formula in list(whole.findall(nodes.math)):
        typography.keep_together(formula)
    return whole


def test_punctuation_stays_with_its_formula():
    formulas = nodes.math("", "x"), nodes.math("", "y")
    whole = paragraph("(of ", formulas[0], "), and ", formulas[1], ".")
    assert whole.astext() == "(of x), and y."
    spans = [node.astext() for node in whole.findall(nodes.inline)]
    assert spans == ["x),", "y."]
    assert [formula.parent["classes"] for formula in formulas] == [["unbroken"]] * 2


def test_a_formula_without_punctuation_is_left_alone():
    whole = paragraph(nodes.math("", "x"), nodes.emphasis("", "is"), ", ", nodes.math("", "y"))
    assert not list(whole.findall(nodes.inline))
    assert whole.astext() == "xis, y"


def test_a_percent_sign_follows_its_number_at_once():
    sources = [p for p in (ROOT / "chapters").rglob("*") if p.suffix in {".md", ".ipynb", ".py"}]
    assert len(sources) > 100
    apart = re.compile(r"[0-9}] %")
    assert [path.name for path in sources if apart.search(path.read_text("utf-8"))] == []


def test_a_name_such_as_q_learning_stays_on_one_line_but_code_stays_as_it_is():
    code = nodes.literal("", "Q-learning")
    whole = nodes.section()
    whole += [nodes.title("", "Deep Q-learning, again"), paragraph("a Q-network; ", code)]
    typography.keep_names(whole)
    typography.keep_names(whole)
    assert [span.astext() for span in whole.findall(nodes.inline)] == ["Q-learning", "Q-network"]
    assert whole[0].astext() == "Deep Q-learning, again"
    assert code.astext() == "Q-learning"


def test_every_term_that_is_linked_is_in_the_glossary():
    sources = [p for p in (ROOT / "chapters").rglob("*") if p.suffix in {".md", ".ipynb", ".py"}]
    linked = re.findall(r"glossary\.md#(term-[\w-]+)", "".join(p.read_text() for p in sources))
    assert len(linked) > 50
    anchors = re.findall(r"^\((term-[\w-]+)\)=", (ROOT / "chapters/glossary.md").read_text(), re.M)
    assert set(linked) <= set(anchors)
