"""What lies in the outbox has an id that says what it is."""

from dbosify._model import outbox
from dbosify._model.outbox import Kind, kind_of


def test_all_who_wait_for_an_update_share_an_entry() -> None:
    entry = outbox.of_update("a workflow", "an update")
    assert entry == outbox.of_update("a workflow", "an update")
    assert entry.entry_id != outbox.of_update("a workflow", "another").entry_id
    assert kind_of(entry.entry_id) is Kind.UPDATE_CALL_BACK
    assert 0 < entry.event_id < 2**63
