from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import DefinitionError
from headrace.core.plan import Node, OutputSpec, ParameterSpec, Plan, Ref, StepSpec, check_graph, refs_in
from headrace.core.values import canonical

SPEC = StepSpec(
    id="flow:train",
    name="train",
    target="flow:train",
    module="flow",
    file="flow.py",
    line=3,
    outputs=(OutputSpec("output", "int", "json"), OutputSpec("more", "float", "pickle", is_named=True)),
    returns="fields",
    retries=1,
    retry_on=("builtins:OSError",),
    backoff_seconds=1.0,
    timeout_seconds=None,
    cache=True,
    expires_after_seconds=60,
    cpus=1,
    memory_bytes=None,
    effect=None,
    gate=None,
    takes_table=False,
)


def ref(node: str, output: str = "output") -> dict[str, str]:
    return {"$": "ref", "node": node, "output": output}


def node(name: str, *before: str, after: tuple[str, ...] = (), when: Ref | None = None) -> Node:
    return Node(name, SPEC.id, {"values": [ref(item) for item in before]}, when=when, after=after)


PLAN = Plan(
    pipeline="flow",
    target="flow:flow",
    parameters=(
        ParameterSpec("rows", "int", 5, True, 100),
        ParameterSpec("data", "Path", {"$": "path", "value": "a"}, False),
    ),
    steps=(SPEC,),
    nodes=(node("a"), node("b", "a", when=Ref("a", "more")), node("c", "a", "b", after=("a",))),
    outputs={"model": Ref("c", "output"), "score": Ref("c", "more")},
    schedule="0 3 * * *",
)


class TestJson:
    def test_a_plan_comes_back(self) -> None:
        again = Plan.from_json(PLAN.to_json())
        assert again == PLAN
        assert again.digest == PLAN.digest
        assert again.to_json() == PLAN.to_json()

    def test_bytes_and_white_space_do_not_matter(self) -> None:
        assert Plan.from_json(PLAN.to_json().encode()) == PLAN
        assert Plan.from_json(json.dumps(json.loads(PLAN.to_json()), indent=2)) == PLAN

    def test_the_text_is_canonical(self) -> None:
        text = PLAN.to_json()
        assert text == canonical(json.loads(text))
        assert text.isascii()
        assert (
            '"nodes":[{"id":"a","step":"flow:train","arguments":{"values":[]}},'
            '{"id":"b","step":"flow:train","arguments":{"values":[{"$":"ref","node":"a","output":"output"}]},'
            '"when":["a","more"]},'
        ) in text
        assert '"after":["a"]}],"outputs":{"model":["c","output"],"score":["c","more"]}}' in text
        assert list(json.loads(text)) == [
            *("headrace_plan", "digest", "pipeline", "target", "schedule"),
            *("parameters", "steps", "nodes", "outputs"),
        ]

    def test_the_digest_is_the_sha256_of_the_rest(self) -> None:
        data = json.loads(PLAN.to_json())
        digest = data.pop("digest")
        assert data.pop("headrace_plan") == 1
        text = json.dumps(data, separators=(",", ":"))
        assert digest == PLAN.digest == hashlib.sha256(text.encode()).hexdigest()

    @pytest.mark.parametrize(
        "other",
        [
            replace(PLAN, pipeline="other"),
            replace(PLAN, target=None),
            replace(PLAN, schedule=None),
            replace(PLAN, parameters=PLAN.parameters[:1]),
            replace(PLAN, parameters=(replace(PLAN.parameters[0], value=5.0), PLAN.parameters[1])),
            replace(PLAN, steps=(replace(SPEC, retries=2),)),
            replace(PLAN, steps=(replace(SPEC, backoff_seconds=2.0),)),
            replace(PLAN, nodes=PLAN.nodes[:2]),
            replace(PLAN, nodes=(*PLAN.nodes[:2], replace(PLAN.nodes[2], after=()))),
            replace(PLAN, nodes=(PLAN.nodes[0], replace(PLAN.nodes[1], when=None), PLAN.nodes[2])),
            replace(PLAN, outputs={"score": Ref("c", "more"), "model": Ref("c", "output")}),
        ],
    )
    def test_everything_counts(self, other: Plan) -> None:
        assert other.digest != PLAN.digest

    def test_the_digest_is_that_of_other_processes(self) -> None:
        code = (
            "import sys\n"
            "from headrace.core.plan import Plan\n"
            "plan = Plan.from_json(sys.stdin.read())\n"
            "print(plan.digest, plan.to_json())\n"
        )
        for seed in ("1", "99"):
            done = subprocess.run(
                [sys.executable, "-c", code],
                input=PLAN.to_json(),
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            )
            assert done.stdout == f"{PLAN.digest} {PLAN.to_json()}\n"


def edited(**changes: Any) -> str:
    return json.dumps({**json.loads(PLAN.to_json()), **changes})


def without(*path: Any) -> str:
    data = json.loads(PLAN.to_json())
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return json.dumps(data)


def with_key(*path: Any) -> str:
    data = json.loads(PLAN.to_json())
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = 7
    return json.dumps(data)


NOT_A_PLAN = "This is not a plan"
EDITED = "it was edited by hand or cut short"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", NOT_A_PLAN),
        ("{}", NOT_A_PLAN),
        ("[]", NOT_A_PLAN),
        ("[1]", NOT_A_PLAN),
        ("5", NOT_A_PLAN),
        ("null", NOT_A_PLAN),
        ('"headrace_plan"', NOT_A_PLAN),
        ("not json", NOT_A_PLAN),
        (b"\xff\xfe\x00", NOT_A_PLAN),
        ("[" * 200_000, NOT_A_PLAN),
        (PLAN.to_json()[:-1], NOT_A_PLAN),
        (PLAN.to_json()[:100], NOT_A_PLAN),
        ('{"name": "other", "version": 1}', NOT_A_PLAN),
        (edited(headrace_plan=2), "The plan is of version 2, and this Headrace reads version 1"),
        (edited(headrace_plan=0), "The plan is of version 0, and this Headrace reads version 1"),
        (edited(headrace_plan=True), "The plan is of version True, and this Headrace reads version 1"),
        (edited(headrace_plan=1.0), "The plan is of version 1.0, and this Headrace reads version 1"),
        (edited(headrace_plan="1"), "The plan is of version '1', and this Headrace reads version 1"),
        (edited(pipeline="other"), f"The plan does not match its digest: {EDITED}"),
        (edited(digest="0" * 64), f"The plan does not match its digest: {EDITED}"),
        (edited(digest=None), f"The plan does not match its digest: {EDITED}"),
        (edited(more=1), f"The plan does not match its digest: {EDITED}"),
        (with_key("nodes", 0, "retries"), f"The plan does not match its digest: {EDITED}"),
        (with_key("nodes", 1, "arguments", "rows"), f"The plan does not match its digest: {EDITED}"),
        (with_key("steps", 0, "more"), "The plan cannot be read: TypeError: StepSpec.__init__() got an unexpected"),
        (with_key("parameters", 0, "more"), "The plan cannot be read: TypeError: ParameterSpec.__init__() got an"),
        (without("digest"), f"The plan does not match its digest: {EDITED}"),
        (without("nodes"), f"The plan cannot be read: KeyError: 'nodes': {EDITED}"),
        (without("steps", 0, "retries"), "The plan cannot be read: TypeError: StepSpec.__init__() missing 1 required"),
        (without("nodes", 0), f"The plan does not match its digest: {EDITED}"),
        (edited(nodes=5), f"The plan cannot be read: TypeError: 'int' object is not iterable: {EDITED}"),
        (edited(nodes=[5]), "The plan cannot be read: TypeError: 'int' object is not subscriptable"),
        (edited(outputs=[]), "The plan cannot be read: AttributeError: 'list' object has no attribute 'items'"),
        (edited(outputs={"a": ["b"]}), "The plan cannot be read: TypeError: Ref.__init__() missing 1 required"),
        (edited(schedule=float("nan")), "The plan cannot be read: ValueError: Out of range float values"),
    ],
    ids=lambda item: str(item)[:30],
)
def test_what_is_not_a_plan_as_it_was_made(text: str | bytes, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Plan.from_json(text)
    assert caught.value.message.startswith(message)
    assert caught.value.hint in (
        "a plan is what headrace.trace(pipeline).to_json() gives",
        "trace the pipeline again with the Headrace that is to run it",
        "change the pipeline and trace it again, since a plan is made and not written",
    )


class TestLookUp:
    def test_nodes_and_steps(self) -> None:
        assert PLAN.node("b") is PLAN.nodes[1]
        assert PLAN.step_of(PLAN.node("b")) is SPEC
        assert list(PLAN.by_id) == ["a", "b", "c"]
        assert SPEC.where == "flow.py:3"

    def test_a_node_that_is_not_there(self) -> None:
        with pytest.raises(DefinitionError) as caught:
            replace(PLAN, nodes=(node("training"),)).node("trainin")
        assert str(caught.value) == "Pipeline 'flow' has no node 'trainin'.\nHint: did you mean 'training'?"

    def test_what_comes_before_a_node(self) -> None:
        late = Node(
            "late",
            SPEC.id,
            {"x": {"k": [ref("c"), {"$": "tuple", "items": [ref("a", "more")]}]}, "y": ref("c"), "z": 5},
            when=Ref("d", "ok"),
            after=("c", "e"),
        )
        assert late.upstream() == ("c", "a", "d", "e")
        assert [str(item) for item in late.refs()] == ["c", "a.more", "c"]

    def test_a_dict_that_only_looks_like_a_reference_is_none(self) -> None:
        assert list(refs_in({"$": "dict", "items": [["$", "ref"], ["node", "a"]]})) == []
        assert list(refs_in("ref")) == []


class TestOrder:
    def order(self, *nodes: Node) -> list[str]:
        return [item.id for item in check_graph("flow", nodes)]

    def test_a_given_order_is_kept(self) -> None:
        assert self.order(node("c"), node("a", "c"), node("b")) == ["c", "a", "b"]

    def test_a_node_goes_after_what_it_takes_and_no_further(self) -> None:
        nodes = [node("a", after=("c",)), node("b"), node("c"), node("d", "a"), node("e")]
        assert self.order(*nodes) == ["b", "c", "a", "d", "e"]

    def test_conditions_count(self) -> None:
        assert self.order(node("a", when=Ref("b", "ok")), node("b")) == ["b", "a"]

    def test_two_of_one_name(self) -> None:
        with pytest.raises(DefinitionError) as caught:
            self.order(node("a"), node("a"))
        assert str(caught.value) == "Pipeline 'flow' has two nodes named 'a'.\nHint: rename one"

    def test_a_node_that_is_not_there(self) -> None:
        with pytest.raises(DefinitionError) as caught:
            self.order(node("train"), node("b", "trian"))
        assert str(caught.value) == (
            "Node 'b' of pipeline 'flow' comes after 'trian', which is not in it.\nHint: did you mean 'train'?"
        )

    def test_a_circle_is_shown_in_the_order_of_its_arrows(self) -> None:
        with pytest.raises(DefinitionError) as caught:
            self.order(node("x"), node("a", "c"), node("b", "a"), node("c", "b"))
        circle = caught.value.message.removeprefix("Pipeline 'flow' goes round in a circle: ")
        assert circle in ("a → b → c → a", "b → c → a → b", "c → a → b → c")

    @pytest.mark.parametrize("n", [5000])
    def test_long_chains_wide_fans_and_long_circles(self, n: int) -> None:
        backwards = [node(f"n{i}", *([f"n{i + 1}"] if i < n - 1 else [])) for i in range(n)]
        assert self.order(*backwards) == [f"n{i}" for i in reversed(range(n))]
        fan = [
            node("last", *(f"n{i}" for i in range(n))),
            *(node(f"n{i}", after=("first",)) for i in range(n)),
            node("first"),
        ]
        assert self.order(*fan) == ["first", *(f"n{i}" for i in range(n)), "last"]
        with pytest.raises(DefinitionError) as caught:
            self.order(*backwards[:-1], node(f"n{n - 1}", "n0"))
        assert caught.value.message.count("→") == 12


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(names.filter(lambda name: not name.startswith("$")), inner, max_size=3)
        | st.lists(inner, max_size=2).map(lambda items: {"$": "tuple", "items": items})
    ),
    max_leaves=5,
)
specs = st.builds(
    StepSpec,
    id=names,
    name=names,
    target=names | st.none(),
    module=names,
    file=names,
    line=st.integers(1, 999),
    outputs=st.lists(st.builds(OutputSpec, names, names, names, st.booleans()), max_size=3).map(tuple),
    returns=st.sampled_from(["nothing", "value", "tuple", "fields"]),
    retries=st.integers(0, 9),
    retry_on=st.lists(names, max_size=2).map(tuple),
    backoff_seconds=st.floats(0, 1e9) | st.integers(0, 9),
    timeout_seconds=st.none() | st.floats(0, 1e9),
    cache=st.booleans(),
    expires_after_seconds=st.none() | st.integers(1, 10**9),
    cpus=st.integers(1, 64),
    memory_bytes=st.none() | st.integers(1, 2**40),
    effect=st.none() | names,
    gate=st.none() | names,
    takes_table=st.booleans(),
)


parameters = st.builds(ParameterSpec, names, names, trees, st.booleans(), trees)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    ids = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    nodes: list[Node] = []
    for index, name in enumerate(ids):
        earlier = st.sampled_from(ids[:index]) if index else st.nothing()
        refs = draw(st.lists(st.builds(Ref, earlier, names), max_size=3))
        arguments = {key: draw(trees) for key in draw(st.lists(names, max_size=3, unique=True))}
        arguments["refs"] = [item.to_json() for item in refs]
        when = draw(st.none() | st.builds(Ref, earlier, names)) if index else None
        after = tuple(draw(st.lists(earlier, max_size=2))) if index else ()
        nodes.append(Node(name, draw(names), arguments, when, after))
    return Plan(
        pipeline=draw(names),
        target=draw(st.none() | names),
        parameters=tuple(
            draw(st.lists(st.builds(ParameterSpec, names, names, trees, st.booleans(), trees), max_size=3))
        ),
        steps=tuple(draw(st.lists(specs, max_size=3))),
        nodes=tuple(nodes),
        outputs=draw(st.dictionaries(names, st.builds(Ref, st.sampled_from(ids), names), max_size=3)),
        schedule=draw(st.none() | names),
    )


@given(plans())
def test_any_plan_comes_back(plan: Plan) -> None:
    text = plan.to_json()
    again = Plan.from_json(text)
    assert again == plan
    assert again.to_json() == text
    assert Plan.from_json(json.dumps(json.loads(text), indent=1)).digest == plan.digest


@given(plans(), plans())
def test_two_plans_have_one_text_only_when_they_are_equal(one: Plan, other: Plan) -> None:
    assert (one.to_json() == other.to_json()) <= (one == other)
    assert (one.digest == other.digest) == (one.to_json() == other.to_json())


@given(plans(), st.data())
def test_a_plan_that_was_cut_short_is_refused(plan: Plan, data: st.DataObject) -> None:
    text = plan.to_json()
    end = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(DefinitionError):
        Plan.from_json(text[:end])


@given(plans(), st.data())
def test_a_plan_whose_letters_were_changed_is_refused(plan: Plan, data: st.DataObject) -> None:
    text = plan.to_json()
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from('0a,:[]{}"x '))
    changed = text[:at] + letter + text[at + 1 :]
    try:
        again = Plan.from_json(changed)
    except DefinitionError:
        return
    assert again == plan
    assert json.loads(changed) == json.loads(text)


@given(st.permutations([node("a"), node("b", "a"), node("c", "a"), node("d", "b", "c"), node("e", after=("d",))]))
def test_any_order_given_becomes_one_that_can_be_carried_out(nodes: list[Node]) -> None:
    done: set[str] = set()
    for item in check_graph("flow", nodes):
        assert set(item.upstream()) <= done
        done.add(item.id)
    assert len(done) == 5
