"""What carriers report: late, doubled, out of order, of deliveries that ended or are not theirs."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from schema.lifecycles import DELIVERY, REPORTED
from schema.scalars import global_id
from tests.shipments import DAY, ENDED, MADE, change, codes, document, row, rows, send, together
from tests.world import NOW, World

SHOWN = (
    "deliveries { id status } results { idempotencyKey outcome eventId userErrors { code coordinate path } }"
)
MINUTE = timedelta(minutes=1)
ENDS = ("DELIVERED", "RETURNED", "LOST")
ABSENT = uuid.UUID("018f0000-0000-7000-8000-000000000000")


def event(delivery: uuid.UUID, status: str, at: datetime = NOW, **given: Any) -> dict[str, Any]:
    found = {"deliveryId": global_id("Delivery", delivery), "status": status, "occurredAt": at.isoformat()}
    return {**found, "idempotencyKey": str(uuid.uuid4()), **given}


def report(world: World, *events: dict[str, Any], name: str = "carrier") -> Any:
    return change(world, name, "reportDeliveryEvent", {"events": list(events)}, SHOWN)


def outcomes(payload: Any) -> list[tuple[str, ...]]:
    """The outcome of each report, with the codes of its mistakes."""
    return [
        (result["outcome"], *(error["code"] for error in result["userErrors"]))
        for result in payload["results"]
    ]


def status(world: World, delivery: uuid.UUID) -> str:
    return str(row(world, "delivery", delivery)["status"])


RECORDED, DUPLICATE = ("RECORDED",), ("DUPLICATE",)


# ---------------------------------------------------------------- the table


@pytest.mark.parametrize("present", DELIVERY)
def test_a_report_of_now_is_kept_while_the_delivery_is_open_and_moves_it_by_the_legal_steps(
    writable: World, present: str
) -> None:
    sent = send(writable, *[present] * len(DELIVERY))
    reports = [event(key, wanted) for key, wanted in zip(sent.deliveries, DELIVERY, strict=True)]
    found = outcomes(report(writable, *reports))
    for key, wanted, outcome in zip(sent.deliveries, DELIVERY, found, strict=True):
        assert outcome == kept(present, wanted), wanted
        is_moved = outcome == RECORDED and wanted in DELIVERY[present]
        assert status(writable, key) == (wanted if is_moved else present), wanted


def kept(present: str, wanted: str) -> tuple[str, ...]:
    if wanted not in REPORTED:
        return "REFUSED", "INVALID_TRANSITION"
    if present in ("PLANNED", "CANCELLED"):
        return "REFUSED", "NOT_FOUND"
    if present in ENDS and (present, wanted) != ("DELIVERED", "RETURNING"):
        return "REFUSED", "INVALID_TRANSITION"
    return RECORDED


# ---------------------------------------------------------------- the same, late, out of order


def test_the_same_report_twice_changes_nothing(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT")
    one = event(sent.delivery, "DELIVERED", place="Oulu", note="left inside", signedBy="N. N.")
    first, again = report(writable, one), report(writable, one)
    assert [outcomes(first), outcomes(again)] == [[RECORDED], [DUPLICATE]]
    assert again["results"][0]["eventId"] == first["results"][0]["eventId"]
    (stored,) = rows(writable, "delivery_event", "delivery_id", sent.delivery)
    assert first["results"][0]["eventId"] == global_id("DeliveryEvent", stored["id"])
    assert row(writable, "delivery", sent.delivery)["version"] == 2


def test_a_key_that_was_used_for_another_report_is_a_conflict(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT", "IN_TRANSIT")
    one = event(sent.delivery, "EXCEPTION", place="Oulu")
    other = {**one, "deliveryId": global_id("Delivery", sent.deliveries[1])}
    payload = report(writable, one, one, {**one, "place": "Turku"}, other)
    assert outcomes(payload) == [RECORDED, DUPLICATE, ("REFUSED", "CONFLICT"), RECORDED]
    later = (NOW - MINUTE).isoformat()
    assert outcomes(report(writable, {**one, "occurredAt": later})) == [("REFUSED", "CONFLICT")]


def test_reports_of_one_call_apply_in_the_order_of_what_they_speak_of(writable: World) -> None:
    sent = send(writable, "READY")
    way = ("DELIVERED", "OUT_FOR_DELIVERY", "IN_TRANSIT", "PICKED_UP")
    reports = [event(sent.delivery, one, NOW - turn * MINUTE) for turn, one in enumerate(way)]
    assert outcomes(report(writable, *reports)) == [RECORDED] * 4
    stored = row(writable, "delivery", sent.delivery)
    assert stored["status"] == "DELIVERED"
    assert (stored["handed_over_at"], stored["delivered_at"]) == (NOW - 3 * MINUTE, NOW)


@pytest.mark.parametrize(
    ("present", "way", "wanted"),
    [
        ("DELIVERED", ("RETURNING", "RETURNED"), [RECORDED, RECORDED]),
        ("DELIVERED", ("RETURNING", "LOST"), [RECORDED, RECORDED]),
        ("IN_TRANSIT", ("DELIVERED", "IN_TRANSIT"), [RECORDED, ("REFUSED", "INVALID_TRANSITION")]),
        ("IN_TRANSIT", ("DELIVERED", "RETURNING"), [RECORDED, RECORDED]),
    ],
)
def test_reports_of_one_call_are_judged_as_if_they_came_one_by_one(
    writable: World, present: str, way: tuple[str, str], wanted: list[tuple[str, ...]]
) -> None:
    together, single = send(writable, present), send(writable, present)
    moments = (NOW - MINUTE, NOW)
    assert outcomes(report(writable, *(map(event, [together.delivery] * 2, way, moments)))) == wanted
    singly = [report(writable, event(single.delivery, *one)) for one in zip(way, moments, strict=True)]
    assert [outcomes(one)[0] for one in singly] == wanted
    assert status(writable, together.delivery) == status(writable, single.delivery)


def test_reports_of_one_moment_apply_in_the_order_they_are_given(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT")
    report(writable, event(sent.delivery, "EXCEPTION"), event(sent.delivery, "ATTEMPT_FAILED"))
    assert status(writable, sent.delivery) == "ATTEMPT_FAILED"


def test_a_late_report_is_kept_and_moves_nothing(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT")
    report(writable, event(sent.delivery, "OUT_FOR_DELIVERY"))
    before = row(writable, "delivery", sent.delivery)
    assert outcomes(report(writable, event(sent.delivery, "AT_PICKUP_POINT", NOW - MINUTE))) == [RECORDED]
    assert row(writable, "delivery", sent.delivery) == before
    assert len(rows(writable, "delivery_event", "delivery_id", sent.delivery)) == 2


def test_what_the_newest_report_waited_for_lets_it_take_effect(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT")
    report(writable, event(sent.delivery, "RETURNED"))
    assert status(writable, sent.delivery) == "IN_TRANSIT"
    report(writable, event(sent.delivery, "RETURNING", NOW - MINUTE))
    stored = row(writable, "delivery", sent.delivery)
    assert (stored["status"], stored["returned_at"]) == ("RETURNED", NOW)


@pytest.mark.parametrize("present", ["READY", "PRE_ADVISED"])
def test_the_first_that_is_reported_need_not_be_the_pick_up(writable: World, present: str) -> None:
    sent = send(writable, present, order={"status": "PICKING"})
    report(writable, event(sent.delivery, "DELIVERED", NOW - MINUTE))
    stored = row(writable, "delivery", sent.delivery)
    assert (stored["status"], stored["handed_over_at"]) == ("DELIVERED", NOW - MINUTE)
    assert row(writable, "orders", sent.order)["status"] == "DELIVERED"


@pytest.mark.parametrize("end", ENDS)
def test_what_came_about_before_the_end_may_be_told_after_it(writable: World, end: str) -> None:
    sent = send(writable, end)
    before = row(writable, "delivery", sent.delivery)
    reports = [event(sent.delivery, "IN_TRANSIT", ENDED - MINUTE), event(sent.delivery, end, ENDED)]
    too_late = event(sent.delivery, "IN_TRANSIT", ENDED + timedelta(microseconds=1))
    wanted = [RECORDED, RECORDED, ("REFUSED", "INVALID_TRANSITION")]
    assert outcomes(report(writable, *reports, too_late)) == wanted
    assert row(writable, "delivery", sent.delivery) == before
    assert len(rows(writable, "delivery_event", "delivery_id", sent.delivery)) == 2


def test_a_delivered_parcel_may_come_back_and_a_late_word_of_that_moves_nothing(writable: World) -> None:
    sent = send(writable, "DELIVERED", "DELIVERED")
    report(
        writable, event(sent.delivery, "RETURNING"), event(sent.deliveries[1], "RETURNING", ENDED - MINUTE)
    )
    assert [status(writable, key) for key in sent.deliveries] == ["RETURNING", "DELIVERED"]
    assert outcomes(report(writable, event(sent.delivery, "RETURNED"))) == [RECORDED]
    assert row(writable, "delivery", sent.delivery)["returned_at"] == NOW


def test_duplicates_at_the_same_moment_leave_one_event(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT")
    one = event(sent.delivery, "DELIVERED")
    found = together(writable, "orders", sent.order, *[lambda: report(writable, one)] * 4)
    assert sorted(outcomes(payload)[0] for payload in found) == [DUPLICATE, DUPLICATE, DUPLICATE, RECORDED]
    assert len(rows(writable, "delivery_event", "delivery_id", sent.delivery)) == 1
    assert row(writable, "delivery", sent.delivery)["version"] == 2


def test_reports_on_the_same_deliveries_in_another_order_do_not_wait_for_each_other(writable: World) -> None:
    first, second = send(writable, "IN_TRANSIT"), send(writable, "IN_TRANSIT")
    keys = first.delivery, second.delivery
    calls = [
        lambda: report(writable, *(event(key, "EXCEPTION") for key in keys)),
        lambda: report(writable, *(event(key, "EXCEPTION") for key in reversed(keys))),
    ]
    found = together(writable, "orders", first.order, *calls)
    assert [outcomes(payload) for payload in found] == [[RECORDED] * 2] * 2


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"note": "soita 040 123 4567"}, ("MALFORMED", "DeliveryEvent.note")),
        ({"note": "kysy aino@example.com"}, ("MALFORMED", "DeliveryEvent.note")),
        ({"note": "x" * 201}, ("MALFORMED", "DeliveryEvent.note")),
        ({"place": "x" * 101}, ("MALFORMED", "DeliveryEvent.place")),
        ({"place": "Oulu, puh. 040 123 4567"}, ("MALFORMED", "DeliveryEvent.place")),
        ({"place": "aino@example.com"}, ("MALFORMED", "DeliveryEvent.place")),
        ({"signedBy": "N. N."}, ("MALFORMED", "Delivery.signedBy")),
        ({"status": "READY"}, ("INVALID_TRANSITION", "DeliveryEvent.status")),
        ({"occurredAt": (NOW + 6 * MINUTE).isoformat()}, ("OUT_OF_RANGE", "DeliveryEvent.occurredAt")),
        ({"occurredAt": (MADE - DAY - MINUTE).isoformat()}, ("OUT_OF_RANGE", "DeliveryEvent.occurredAt")),
        ({"deliveryId": global_id("Delivery", ABSENT)}, ("NOT_FOUND", "Delivery.id")),
    ],
)
def test_a_wrong_report_is_refused_alone(writable: World, given: Any, wanted: Any) -> None:
    sent = send(writable, "IN_TRANSIT")
    wrong = event(sent.delivery, "EXCEPTION") | given
    payload = report(writable, wrong, event(sent.delivery, "EXCEPTION"))
    refused, kept = payload["results"]
    assert [(error["code"], error["coordinate"]) for error in refused["userErrors"]] == [wanted]
    assert (refused["outcome"], refused["eventId"], kept["outcome"]) == ("REFUSED", None, "RECORDED")
    assert refused["userErrors"][0]["path"][:2] == ["events", "0"]
    assert payload["userErrors"] == []
    assert len(rows(writable, "delivery_event", "delivery_id", sent.delivery)) == 1


def test_every_mistake_of_a_report_is_told_at_once(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT")
    payload = report(writable, event(sent.delivery, "READY", NOW + DAY, place="", signedBy="N"))
    assert outcomes(payload) == [("REFUSED", "MALFORMED", "INVALID_TRANSITION", "OUT_OF_RANGE", "MALFORMED")]


def test_one_to_a_hundred_reports_are_taken(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT")
    reports = [event(sent.delivery, "EXCEPTION") for _ in range(101)]
    assert codes(report(writable)) == [("OUT_OF_RANGE", "Delivery.events")]
    assert codes(report(writable, *reports)) == [("OUT_OF_RANGE", "Delivery.events")]
    assert rows(writable, "delivery_event", "delivery_id", sent.delivery) == []
    payload = report(writable, *reports[:100])
    assert outcomes(payload) == [RECORDED] * 100
    assert [one["idempotencyKey"] for one in payload["results"]] == [
        one["idempotencyKey"] for one in reports[:100]
    ]
    assert row(writable, "delivery", sent.delivery)["version"] == 2


def test_another_carriers_delivery_and_none_at_all_answer_alike(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT")
    key = str(uuid.uuid4())
    answers = {
        writable.post(
            "carrier-2",
            document("reportDeliveryEvent", SHOWN),
            {"input": {"events": [event(delivery, "DELIVERED", idempotencyKey=key)]}},
        ).content
        for delivery in (sent.delivery, ABSENT)
    }
    assert len(answers) == 1
    assert status(writable, sent.delivery) == "IN_TRANSIT"


def test_a_delivery_given_away_takes_no_report_of_its_former_carrier(writable: World) -> None:
    sent = send(writable, "PRE_ADVISED")
    key = writable.askers["carrier-2"].carrier_id
    writable.execute("UPDATE delivery SET carrier_id = $1 WHERE id = $2", key, sent.delivery)
    one = event(sent.delivery, "PICKED_UP")
    assert outcomes(report(writable, one)) == [("REFUSED", "NOT_FOUND")]
    assert outcomes(report(writable, one, name="carrier-2")) == [RECORDED]


def test_a_delivery_given_away_while_a_report_waits_takes_none(writable: World) -> None:
    sent = send(writable, "PRE_ADVISED")
    query = "UPDATE delivery SET carrier_id = $1 WHERE id = $2"
    other = writable.askers["carrier-2"].carrier_id
    calls = [
        lambda: report(writable, event(sent.delivery, "PICKED_UP")),
        lambda: writable.execute(query, other, sent.delivery),
    ]
    payload, _ = together(writable, "delivery", sent.delivery, *calls)
    is_first = outcomes(payload) == [RECORDED]
    assert is_first or outcomes(payload) == [("REFUSED", "NOT_FOUND")]
    assert status(writable, sent.delivery) == ("PICKED_UP" if is_first else "PRE_ADVISED")


# ---------------------------------------------------------------- what else follows


def test_a_signature_is_written_and_never_read_by_the_carrier(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT")
    report(writable, event(sent.delivery, "DELIVERED", signedBy=" Aino Testi "))
    assert row(writable, "delivery", sent.delivery)["signed_by"] == "Aino Testi"
    _, body = writable.ask(
        "carrier", f'{{ node(id: "{sent.delivery_id}") {{ ... on Delivery {{ signedBy }} }} }}'
    )
    assert body["data"] == {"node": {"signedBy": None}}
    assert body["errors"][0]["extensions"]["coordinate"] == "Delivery.signedBy"


def test_a_late_signature_is_kept_where_there_is_none_yet(writable: World) -> None:
    sent = send(writable, "DELIVERED")
    for name in ("Ensin", "Toiseksi"):
        report(writable, event(sent.delivery, "DELIVERED", ENDED, signedBy=name))
    assert row(writable, "delivery", sent.delivery)["signed_by"] == "Ensin"


def test_what_was_reported_is_noted_as_a_carriers_event_without_its_values(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT")
    report(writable, event(sent.delivery, "DELIVERED", note="portilla", signedBy="Aino Testi"))
    (stored,) = rows(writable, "delivery_event", "delivery_id", sent.delivery)
    noted = [
        one for key in (stored["id"], sent.delivery) for one in rows(writable, "change", "entity_id", key)
    ]
    assert sorted((one["entity"], one["field"]) for one in noted) == [
        *(("Delivery", field) for field in ("deliveredAt", "signedBy", "status")),
        *(("DeliveryEvent", field) for field in ("note", "occurredAt", "status")),
    ]
    assert {(one["source"], one["customer_id"]) for one in noted} == {("CARRIER_EVENT", sent.customer)}
    assert "Aino" not in str(noted)


def test_the_first_pickup_ships_the_order_and_the_last_delivery_delivers_it(writable: World) -> None:
    sent = send(writable, "PRE_ADVISED", "PRE_ADVISED", "CANCELLED", order={"status": "PICKING"})
    first, second, _ = sent.deliveries
    seen = []
    for key, one in ((first, "PICKED_UP"), (first, "DELIVERED"), (second, "DELIVERED")):
        report(writable, event(key, one))
        stored = row(writable, "orders", sent.order)
        seen.append((stored["status"], stored["version"]))
    assert seen == [("SHIPPED", 2), ("SHIPPED", 2), ("DELIVERED", 3)]


def test_the_last_two_deliveries_at_the_same_moment_deliver_the_order(writable: World) -> None:
    sent = send(writable, "OUT_FOR_DELIVERY", "OUT_FOR_DELIVERY")
    calls = [
        lambda: report(writable, event(sent.deliveries[0], "DELIVERED")),
        lambda: report(writable, event(sent.deliveries[1], "DELIVERED")),
    ]
    together(writable, "orders", sent.order, *calls)
    assert row(writable, "orders", sent.order)["status"] == "DELIVERED"


@pytest.mark.parametrize("order", ["PLACED", "DELIVERED", "COMPLETED", "CANCELLED"])
def test_an_order_that_cannot_be_on_its_way_stays_as_it_is(writable: World, order: str) -> None:
    sent = send(writable, "PRE_ADVISED", order={"status": order})
    report(writable, event(sent.delivery, "DELIVERED"))
    assert row(writable, "orders", sent.order)["status"] == order


@pytest.mark.parametrize(("end", "column"), [("LOST", "lost_at"), ("DELIVERED", "delivered_at")])
def test_the_moment_of_an_end_is_that_of_the_report(writable: World, end: str, column: str) -> None:
    sent = send(writable, "PRE_ADVISED")
    report(writable, event(sent.delivery, end, NOW - MINUTE))
    stored = row(writable, "delivery", sent.delivery)
    assert (stored[column], stored["handed_over_at"]) == (NOW - MINUTE, NOW - MINUTE)


def test_what_the_carrier_may_no_longer_see_takes_no_report(writable: World) -> None:
    sent = send(writable, "DELIVERED", created_at=NOW - 200 * DAY)
    writable.execute("UPDATE delivery SET delivered_at = $1 WHERE id = $2", NOW - 90 * DAY, sent.delivery)
    late = event(sent.delivery, "IN_TRANSIT", NOW - 91 * DAY)
    assert outcomes(report(writable, late)) == [("REFUSED", "NOT_FOUND")]


def test_only_carriers_report(writable: World) -> None:
    sent = send(writable, "IN_TRANSIT")
    given = {"input": {"events": [event(sent.delivery, "LOST")]}}
    for name in ("customer", "warehouse", "support", "newsletter", "anonymous"):
        _, body = writable.ask(name, document("reportDeliveryEvent", "__typename"), given)
        assert body["errors"][0]["extensions"]["coordinate"] == "Mutation.reportDeliveryEvent", name
    assert status(writable, sent.delivery) == "IN_TRANSIT"
