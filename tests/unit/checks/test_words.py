import pytest

from checks.tidy.words import words_of_the_workshop


@pytest.mark.parametrize(
    "line",
    [
        "# TO" + "DO: later",
        "# FIX" + "ME",
        "see /ho" + "me/me/x",
        "path = '/ro" + "ot/x'",
        "(/wo" + "rk/main)",
        "https://py" + "pi.org/simple",
        "https://files.pyth" + "onhosted.org/x",
        "--extra-in" + "dex-url https://x",
        "as is" + "sue 12 says",
        "by a sub" + "agent",
        "in this ses" + "sion",
        "key = 's" + "k-" + "a" * 40 + "'",
        "-----BEGIN PRI" + "VATE KEY-----",
    ],
)
def test_words_of_the_workshop_are_found_with_their_line(line: str) -> None:
    (found,) = words_of_the_workshop("docs/a.md", f"fine\n{line}\n")
    assert (found.path, found.line, found.rule) == ("docs/a.md", 2, "words")


@pytest.mark.parametrize(
    "line",
    [
        "the todo list of the homework",
        "docs/ho" + "me/x and ./wo" + "rk/x and a/ro" + "ot/b",
        "uv pip compile --no-emit-index-url",
        "a database session and its sessions",
        "tokenbooth doctor finds an issue",
        "tb_live_ keys",
    ],
)
def test_ordinary_words_are_left_alone(line: str) -> None:
    assert list(words_of_the_workshop("docs/a.md", line)) == []
