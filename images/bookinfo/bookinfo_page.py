"""The page for people: one HTML document without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from service_calls import Answer

__all__ = ["render", "render_home"]

MAX_STARS = 5
FACTS = {
    "author": "Author",
    "year": "First published",
    "original_title": "Original title",
    "publisher": "Publisher",
    "language": "Language",
}
# Only these colours of stars are known to be readable on both backgrounds; any other is shown in the text's own.
STAR_CLASSES = {"black": "ink", "red": "red"}

STYLE = """
:root { color-scheme: light dark; --page: #f4f6f8; --card: #ffffff; --ink: #1a2733; --soft: #52606d; --line: #d5dce3;
  --accent: #0b5ea8; --on-accent: #ffffff; --red: #b3261e; --warn: #fdf1e3; --warn-ink: #7a3b00; --warn-line: #d98324; }
@media (prefers-color-scheme: dark) { :root { --page: #12181f; --card: #1c252e; --ink: #e8edf2; --soft: #a6b3c0;
  --line: #344250; --accent: #7cbcf5; --on-accent: #0d1a26; --red: #ff8a80; --warn: #3a2a17; --warn-ink: #ffd9ae;
  --warn-line: #d98324; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
header, main, footer { max-width: 62rem; margin: 0 auto; padding: 1rem 1.25rem; }
header { display: flex; flex-wrap: wrap; gap: 1rem; align-items: center; justify-content: space-between; }
header p { margin: 0; font-weight: 600; letter-spacing: .02em; }
a { color: var(--accent); }
form { display: flex; gap: .5rem; align-items: center; }
label, .soft { color: var(--soft); }
input, button { font: inherit; padding: .4rem .7rem; border: 1px solid var(--line); border-radius: .5rem; }
input { background: var(--card); color: var(--ink); width: 9rem; }
button { background: var(--accent); color: var(--on-accent); border-color: var(--accent); cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
main { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
h1 { grid-column: 1 / -1; margin: .5rem 0 0; font: 600 clamp(1.6rem, 4vw, 2.4rem)/1.2 Georgia, serif; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .9rem; padding: 1.1rem 1.3rem; }
h2 { margin: 0 0 .7rem; font-size: 1.1rem; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .3rem 1rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; }
figure { margin: 0 0 1rem; } blockquote { margin: 0; } figcaption { color: var(--soft); }
.stars { font-size: 1.35rem; letter-spacing: .1em; line-height: 1.2; } .ink { color: var(--ink); }
.red { color: var(--red); }
.missing { margin: 0; padding: .6rem .8rem; background: var(--warn); color: var(--warn-ink); border-radius: .5rem;
  border-left: .3rem solid var(--warn-line); }
.missing small { display: block; }
ol { list-style: none; display: flex; flex-wrap: wrap; gap: .6rem; margin: 0; padding: 0; }
li { border: 1px solid var(--line); border-radius: .6rem; padding: .35rem .7rem; }
li small { display: block; color: var(--soft); } .wide { grid-column: 1 / -1; }
"""


def render(identity: Mapping[str, str], details: Answer, reviews: Answer, *, user: str, journey: str) -> str:
    """Make the page.

    Args:
        identity: service, version and pod of the page itself.
        details: the answer of details.
        reviews: the answer of reviews.
        user: who reads; empty for nobody in particular.
        journey: the page's ``x-path``.

    Returns:
        A complete HTML document.
    """
    facts = details.data if details.ok and isinstance(details.data, dict) else {}
    title = escape(str(facts.get("title", "A book")))
    body = f"""<header>
<p>Bookinfo</p>
{_login(user)}
</header>
<main>
<h1>{title}</h1>
<section aria-labelledby="details"><h2 id="details">Details</h2>
{_details(details, facts)}
</section>
<section aria-labelledby="reviews"><h2 id="reviews">Reviews</h2>
{_reviews(reviews)}
</section>
<section class="wide" aria-labelledby="journey"><h2 id="journey">Pods that took part</h2>
<ol>{_journey(journey)}</ol>
</section>
</main>
<footer class="soft">Put together by {escape(identity["pod"])}. Reload to see where the next request goes.</footer>
"""
    return _document(f"{title} - Bookinfo", body)


def render_home() -> str:
    """Make the page that leads to the product's, read by anybody or by a tester.

    Returns:
        A complete HTML document.
    """
    body = """<main>
<h1>Bookinfo</h1>
<section><h2>One book, two links to it</h2>
<p><a href="productpage?u=normal">As a normal user</a>, or <a href="productpage?u=test">as a test user</a>. Both are
the same page; the query tells rules apart.</p></section>
</main>
"""
    return _document("Bookinfo", body)


def _document(title: str, body: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
{body}</body>
</html>
"""


def _login(user: str) -> str:
    if user:
        return (
            f'<form method="post" action="logout"><span>Reading as <strong>{escape(user)}</strong></span>'
            "<button>Sign out</button></form>"
        )
    return (
        '<form method="post" action="login"><label for="username">Reading as</label>'
        '<input id="username" name="username" required maxlength="64" autocomplete="username" placeholder="any name">'
        "<button>Sign in</button></form>"
    )


def _details(answer: Answer, facts: Mapping[str, Any]) -> str:
    if not answer.ok:
        return _missing("Details are currently unavailable.", answer.reason)
    rows = "".join(
        f"<dt>{label}</dt><dd>{escape(str(facts[key]))}</dd>" for key, label in FACTS.items() if key in facts
    )
    return f"<dl>{rows}</dl>"


def _reviews(answer: Answer) -> str:
    if not answer.ok or not isinstance(answer.data, dict):
        return _missing("Reviews are currently unavailable.", answer.reason)
    return "".join(_review(review) for review in answer.data.get("reviews", ()))


def _review(review: Mapping[str, Any]) -> str:
    rating = review.get("rating")
    if rating is None:
        stars = ""
    elif "error" in rating:
        stars = _missing("Ratings are currently unavailable.", str(rating.get("reason", "")))
    else:
        count = max(0, min(MAX_STARS, int(rating.get("stars", 0))))
        text = "★" * count + "☆" * (MAX_STARS - count)
        kind = STAR_CLASSES.get(str(rating.get("color", "")), "ink")
        stars = f'<div class="stars {kind}" role="img" aria-label="{count} out of {MAX_STARS} stars">{text}</div>'
    return (
        f"<figure><blockquote>{escape(str(review.get('text', '')))}</blockquote>"
        f"<figcaption>{escape(str(review.get('reviewer', '')))}</figcaption>{stars}</figure>"
    )


def _missing(text: str, reason: str) -> str:
    return f'<p class="missing" role="status">{escape(text)}<small>{escape(reason)}</small></p>'


def _journey(path: str) -> str:
    items = []
    for hop in path.split(","):
        service, version, pod = [*hop.strip().split("/"), "", ""][:3]
        items.append(f"<li><strong>{escape(f'{service} {version}'.strip())}</strong><small>{escape(pod)}</small></li>")
    return "".join(items)
