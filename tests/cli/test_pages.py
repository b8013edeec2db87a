"""The documentation says what the code does."""

import re
import subprocess
import sys

import pytest

from tests.cli.pages import OTHERS, REFERENCES, ROOT, pages, refreshed

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
LINES_MAX = 60
REFRESH = "run `python -m tests.cli.pages`"


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_is_what_the_code_says(name):
    assert (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") == REFERENCES[name](), REFRESH


def test_every_reference_is_held_true_by_a_test():
    assert {path.name for path in (ROOT / "docs" / "reference").glob("*.md")} == {*REFERENCES, *OTHERS}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_snippets_of_a_page_print_what_the_page_says(page):
    text = page.read_text(encoding="utf-8")
    assert refreshed(text) == text, REFRESH


def test_every_page_is_in_the_menu_and_every_link_leads_somewhere():
    menu = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    docs = ROOT / "docs"
    assert menu == {str(page.relative_to(docs)) for page in docs.rglob("*.md")}
    for page in [ROOT / "README.md", *docs.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_is_short_and_runs(example, tmp_path):
    assert len(example.read_text(encoding="utf-8").splitlines()) < LINES_MAX
    ran = subprocess.run([sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()


def test_there_are_examples():
    assert len(EXAMPLES) >= 5
