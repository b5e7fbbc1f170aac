"""Django: templates with inheritance, loops, filters and escaping, compiled and rendered."""

import django
from django.conf import settings
from django.template import engines

BASE = """<!doctype html><title>{% block title %}?{% endblock %}</title>
<ul>{% block rows %}{% endblock %}</ul>"""
PAGE = """{% extends "base.html" %}{% block title %}{{ title|upper }}{% endblock %}
{% block rows %}{% for row in rows %}{% with total=row.price|add:row.tax %}
<li class="{% cycle 'odd' 'even' %}">{{ forloop.counter }}. {{ row.name|truncatechars:12|escape }}
{% if total > 50 %}<b>{{ total|floatformat:2 }}</b>{% else %}{{ total }}{% endif %}
{% for tag in row.tags %}{{ tag }}{% if not forloop.last %}, {% endif %}{% endfor %}</li>
{% endwith %}{% endfor %}{% endblock %}"""

settings.configure(
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    (
                        "django.template.loaders.locmem.Loader",
                        {"base.html": BASE, "page.html": PAGE},
                    )
                ]
            },
        }
    ]
)
django.setup()
rows = [
    {
        "name": "<item> %d" % i,
        "price": i,
        "tax": i // 5,
        "tags": ["t%d" % (i % k) for k in (2, 3, 5)],
    }
    for i in range(15)
]
template = engines["django"].get_template("page.html")
pages = [template.render({"title": "page %d" % n, "rows": rows[n:]}) for n in range(5)]
assert "&lt;item&gt;" in pages[0] and "PAGE 4" in pages[4]
