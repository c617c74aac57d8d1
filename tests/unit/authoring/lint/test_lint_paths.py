"""Every path that a template reads is held against the API."""

from __future__ import annotations

import pytest

from tests.unit.authoring.lint.linted import SPEC, codes, of_template, promise, remarks

RIGHT = [
    "a: {{ spec.size }}",
    "a: {{ spec['size'] }}",
    "a: {{ request.spec.size }} {{ request.metadata.name }} {{ name }} {{ namespace }} {{ promise.version }}",
    "a: {{ spec.owner | default('nobody') }}",
    "{% if spec.owner is defined %}a: {{ spec.owner }}{% endif %}",
    "{% if spec.owner is undefined %}a: b{% else %}a: {{ spec.owner }}{% endif %}",
    "{% if spec.owner is not defined %}{{ fail('say who owns it') }}{% endif %}a: {{ spec.owner }}",
    "a: {{ spec.owner if spec.owner is defined else 'nobody' }}",
    "{% if spec.owner is defined and spec.owner != 'root' %}a: {{ spec.owner }}{% endif %}",
    "{% if spec.owner is not defined or spec.owner == 'root' %}a: b{% else %}a: {{ spec.owner }}{% endif %}",
    "{% if spec.owner | default('') %}a: {{ spec.owner }}{% endif %}",
    "{% if spec.owner | default('') | length > 0 %}a: {{ spec.owner }}{% endif %}",
    "{% if spec.owner | default('') != '' %}a: {{ spec.owner }}{% endif %}",
    "{% if spec.owner | default('') == 'me' %}a: {{ spec.owner }}{% endif %}",
    "{% if 'owner' in spec %}a: {{ spec.owner }}{% endif %}",
    "{% if spec.get('owner') %}a: {{ spec.owner }}{% endif %}",
    "{% set known = spec.owner is defined %}{% if known %}a: {{ spec.owner }}{% endif %}",
    "{% if spec.backup is defined %}a: {{ spec.backup.schedule }} {{ spec.backup.keep }}{% endif %}",
    "{% set backup = spec.backup | default({'schedule': 'never', 'keep': 0}) %}a: {{ backup.keep }}",
    "{% if spec.backup is defined %}{% set b = spec.backup %}a: {{ b.schedule }}{% endif %}",
    "a: {{ spec.backup.keep | default(7) }}",
    "{% for m in spec.members %}\n- {{ m.name }}: {{ m.role | default('view') }}\n{% endfor %}",
    "{% for m in spec.members if m.role is defined %}\n- {{ m.role }}\n{% endfor %}",
    "{% for key, value in spec.tags.items() %}{{ key }}: {{ value }}{% endfor %}".replace(
        "spec.tags.items()", "(spec.tags | default({})).items()"
    ),
    "a: {{ spec.members | map(attribute='name') | join(',') }}",
    "a: {{ spec.members | selectattr('role', 'defined') | list | length }}",
    "{% if spec.size == 'small' %}a: 1{% elif spec.size == 'medium' %}a: 2{% else %}a: 3{% endif %}",
    "{% if spec.size == 'small' %}a: 1{% elif spec.size in ['medium', 'large'] %}a: 2{% endif %}",
    "{% if spec.size == 'small' %}a: 1{% endif %}",
    "{% set sizes = {'small': 1, 'medium': 2, 'large': 3} %}a: {{ sizes[spec.size] }}",
    "{% set sizes = {'small': 1} %}a: {{ sizes[spec.size] if spec.size in sizes else 2 }}",
    "{% set sizes = {'small': 1} %}a: {{ sizes[spec.size] | default(2) }}",
    "{% if spec.replicas > 1 and spec.size[0] == 's' %}a: {{ spec.replicas * 2 }}{% endif %}",
    (
        "{% macro line(m) %}- {{ m.name }}{% if m.role is defined %} {{ m.role }}{% endif %}{% endmacro %}"
        "{% for m in spec.members %}{{ line(m) }}{% endfor %}"
    ),
    "{% macro owned() %}{{ spec.size }}{% endmacro %}a: {{ owned() }}",
    (
        "{% set ns = namespace(total=0) %}{% for m in spec.members %}{% set ns.total = ns.total + 1 %}{% endfor %}"
        "a: {{ ns.total }}"
    ),
    "{% with size = spec.size %}a: {{ size }}{% endwith %}",
    "a: {{ labels['team'] | default('none') }} {{ labels.team | default('none') }}",
    "a: {{ spec }}",
    "a: {{ spec.tags | default({}) | to_yaml }}",
]


@pytest.mark.parametrize("template", RIGHT)
def test_a_template_that_reads_what_the_api_has_is_not_complained_about(template: str) -> None:
    assert of_template(template) == []


WRONG = [
    ("a: {{ spec.sise }}", "T101"),
    ("a: {{ spec.sise | default('x') }}", "T101"),
    ("a: {{ spec.size.cpu }}", "T101"),
    ("a: {{ request.spec.sise }}", "T101"),
    ("a: {{ request.status.message }}", "T101"),
    ("{% for m in spec.members %}{{ m.rolle }}{% endfor %}", "T101"),
    ("a: {{ spec.members | map(attribute='nam') | join }}", "T101"),
    ("a: {{ promise.spec }}", "T101"),
    ("{% macro line(m) %}{{ m.nam }}{% endmacro %}{% for m in spec.members %}{{ line(m) }}{% endfor %}", "T101"),
    ("{% macro owned() %}{{ spec.sise }}{% endmacro %}a: {{ owned() }}", "T101"),
    ("a: {{ spec.owner }}", "T102"),
    ("a: {{ spec.owner | upper }}", "T102"),
    ("{% if spec.owner %}a: b{% endif %}", "T102"),
    ("{% if spec.owner == 'me' %}a: b{% endif %}", "T102"),
    ("a: {{ 'x' ~ spec.owner }}", "T102"),
    ("a: {{ spec.backup.keep }}", "T102"),
    ("{% if spec.owner is defined or true %}a: {{ spec.owner }}{% endif %}", "T102"),
    ("{% for key in spec.tags %}{{ key }}{% endfor %}", "T102"),
    ("{% for m in spec.members %}{{ m.role }}{% endfor %}", "T102"),
    ("a: {{ labels.team }}", "T102"),
    ("{% set o = spec.owner %}a: {{ o }}", "T102"),
    ("{% macro show(o) %}{{ o }}{% endmacro %}a: {{ show(spec.owner) }}", "T102"),
    ("{% if spec.replicas > '3' %}a: b{% endif %}", "T103"),
    ("{% if spec.replicas == '3' %}a: b{% endif %}", "T103"),
    ("{% if spec.size > 3 %}a: b{% endif %}", "T103"),
    ("a: {{ spec.size + 1 }}", "T103"),
    ("a: {{ spec.size - 1 }}", "T103"),
    ("a: {{ spec.replicas | length }}", "T103"),
    ("a: {{ spec.replicas.split('.') }}", "T103"),
    ("{% for x in spec.replicas %}{{ x }}{% endfor %}", "T103"),
    ("{% for x in spec.size %}{{ x }}{% endfor %}", "T103"),
    ("{% for i in range(spec.size) %}{{ i }}{% endfor %}", "T103"),
    ("a: {{ spec.owner | default(3) }}", "T103"),
    ("a: {{ spec.size | dict2items }}", "T103"),
    ("{% if spec.size == 'lage' %}a: b{% endif %}", "T104"),
    ("{% if spec.size in ['small', 'lage'] %}a: b{% endif %}", "T104"),
    ("a: {{ spec.size | default('tiny') }}", "T104"),
    ("{% set sizes = {'small': 1, 'medium': 2} %}a: {{ sizes[spec.size] }}", "T105"),
    ("{% if spec.size == 'small' %}a: 1{% elif spec.size == 'medium' %}a: 2{% endif %}", "T105"),
]


@pytest.mark.parametrize(("template", "code"), WRONG)
def test_a_template_that_reads_what_the_api_does_not_have_is_complained_about_once(
    template: str, code: str
) -> None:
    assert codes(template) == [code]


def test_a_finding_says_the_line_what_is_meant_and_where_it_comes_from() -> None:
    [remark] = of_template("a: b\nc: {{ spec.sise }}\n")
    assert (remark.line, remark.needle) == (2, "spec.sise")
    assert remark.field == "spec.workflows.resource.configure[0].spec.files[0].template"
    assert remark.message == "the API has no spec.sise: the API server drops it"
    assert remark.fix.startswith("did you mean size?")


def test_a_spec_that_may_be_left_out_makes_all_of_its_fields_optional_defaults_or_not() -> None:
    assert codes("a: {{ spec.replicas }}", required=False) == ["T102"]
    assert codes("a: {{ spec.replicas | default(1) }}", required=False) == []
    assert codes("{% if spec.size is defined %}a: {{ spec.replicas }}{% endif %}", required=False) == []


@pytest.mark.parametrize("read", ["spec.size", "request.spec.size"])
def test_a_spec_that_may_be_left_out_is_told_with_the_usual_way_to_require_it(read: str) -> None:
    (remark,) = of_template(f"a: {{{{ {read} }}}}", required=False)
    assert remark.code == "T102"
    assert remark.fix.startswith("add required: [spec] beside properties in the API's openAPIV3Schema")
    (other,) = of_template("a: {{ spec.owner }}")
    assert "required: [spec]" not in other.fix


def test_what_is_read_through_a_partial_is_found_in_the_partial() -> None:
    [remark] = of_template(
        "{% include 'labels' %}", partials={"labels": "# team\nteam: {{ spec.ownr | default('x') }}\n"}
    )
    assert (remark.code, remark.line) == ("T101", 2)
    assert remark.field.endswith(".spec.partials.labels")


def test_what_is_read_through_an_imported_macro_is_found_with_what_it_is_given() -> None:
    partials = {"m": "{% macro show(thing) %}{{ thing.nme }}{% endmacro %}"}
    template = "{% from 'm' import show %}{% for m in spec.members %}{{ show(m) }}{% endfor %}"
    assert codes(template, partials=partials) == ["T101"]
    template = "{% import 'm' as m %}{% for x in spec.members %}{{ m.show(x) }}{% endfor %}"
    assert codes(template, partials=partials) == ["T101"]


def test_a_partial_that_is_imported_without_context_has_no_request() -> None:
    partials = {"m": "{% macro show() %}{{ spec.size }}{% endmacro %}"}
    assert codes("{% from 'm' import show %}{{ show() }}", partials=partials) == ["T109"]
    assert codes("{% from 'm' import show with context %}{{ show() }}", partials=partials) == []


def test_a_partial_that_includes_itself_is_followed_to_a_bound() -> None:
    found = of_template("{% include 'a' %}", partials={"a": "{% include 'a' %}"})
    assert [remark.code for remark in found] == ["T004"]


def test_a_value_that_nothing_reads_is_found_and_one_that_another_reads_is_not() -> None:
    values = {"used": "{{ spec.size }}", "through": "{{ used }}", "unused": 1}
    [remark] = of_template("a: {{ through }}", values=values)
    assert (remark.code, remark.field) == ("T106", "spec.workflows.resource.configure[0].spec.values.unused")
    assert codes("a: {{ values.unused }} {{ through }}", values=values) == []
    assert codes("a: {{ values }}", values=values) == []


def test_a_partial_that_nothing_includes_is_found() -> None:
    assert codes("a: b {{ name }}", partials={"lonely": "x: y"}) == ["T108"]


def test_types_are_followed_through_values() -> None:
    values = {
        "sizes": {"small": {"cpu": 1}, "medium": {"cpu": 2}, "large": {"memory": 1}},
        "size": "{{ sizes[spec.size] }}",
    }
    [remark] = of_template("a: {{ size.cpu }}", values=values)
    assert remark.code == "T102"
    assert codes("a: {{ size.cups }}", values=values) == ["T101"]


def test_the_condition_of_a_file_counts_in_its_template_and_in_no_other() -> None:
    pipeline = {
        "files": [
            {
                "path": "{{ spec.owner }}.yaml",
                "when": "{{ spec.owner is defined }}",
                "template": "a: {{ spec.owner }}",
            },
            {"path": "other.yaml", "template": "a: {{ spec.owner }}"},
        ]
    }
    [remark] = remarks(promise(pipeline))
    assert (remark.code, remark.field[-len("files[1].template") :]) == ("T102", "files[1].template")


def test_a_condition_that_a_value_holds_counts_as_if_it_were_written_out() -> None:
    values = {"owned": "{{ spec.owner is defined }}"}
    pipeline = {
        "values": values,
        "files": [{"path": "a.yaml", "when": "{{ owned }}", "template": "a: {{ spec.owner }}"}],
    }
    assert remarks(promise(pipeline)) == []


def test_the_item_of_a_for_each_has_the_fields_of_the_list() -> None:
    files = [{"path": "{{ item.name }}.yaml", "forEach": "{{ spec.members }}", "template": "a: {{ item.rol }}"}]
    assert [remark.code for remark in remarks(promise({"files": files}))] == ["T101"]


def test_status_and_destinations_are_read_as_well() -> None:
    pipeline = {
        "files": [{"path": "a.yaml", "template": "a: {{ name }}"}],
        "status": {"owner": "{{ spec.owner }}"},
        "destinations": [{"matchLabels": {"size": "{{ spec.sise }}"}}],
    }
    assert sorted(remark.code for remark in remarks(promise(pipeline))) == ["T101", "T102"]


def test_fields_of_the_api_that_nothing_reads_are_found_and_the_highest_is_named() -> None:
    template = "a: {{ spec.size }} {{ spec.replicas }} {{ spec.public }} {{ spec.tags | default({}) }}"
    found = remarks(promise({"files": [{"path": "a.yaml", "template": template}]}), without=())
    assert [remark.field.rsplit(".", 1)[1] for remark in found] == ["owner", "backup", "members"]
    whole = promise({"files": [{"path": "a.yaml", "template": "a: {{ spec }}"}]})
    assert remarks(whole, without=()) == []
    template += "{{ spec.owner | default('') }} {{ spec.backup | default('') }}"
    template += "{% for m in spec.members %}{{ m.name }}{% endfor %}"
    found = remarks(promise({"files": [{"path": "a.yaml", "template": template}]}), without=())
    assert [remark.message for remark in found] == ["no template reads spec.members[].role"]


def test_nothing_is_said_of_what_the_schema_leaves_open() -> None:
    spec = {
        "type": "object",
        "properties": {"free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        "required": ["free"],
    }
    assert codes("a: {{ spec.free.anything.at_all + 1 }}", spec=spec) == []


def test_null_is_missing_when_it_is_looked_into() -> None:
    spec = {**SPEC, "properties": {"box": {**SPEC["properties"]["backup"], "nullable": True}}, "required": ["box"]}
    assert codes("a: {{ spec.box.keep }}", spec=spec) == ["T102"]
    assert codes("a: {{ spec.box.keep | default(1) }}", spec=spec) == []
