"""TWS out of a recording: frames in the order they had, under the request and order ids that the client gives."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

from brokers.simulators.control import HOST
from brokers.simulators.tws.codec import Fields, Malformed, encode, read_frame
from brokers.simulators.tws.session import PROMPT, REQUESTS, START_API
from brokers.wire.playback import Playback, Step
from brokers.wire.tape import Entry
from core.errors import ConfigError
from core.redact import redact

ASKED_WITH: Mapping[int, int] = {
    **dict.fromkeys((3, 20), 1),
    **dict.fromkeys((1, 2, 4, 7, 9, 25, 50, 51, 62, 63, 76, 77), 2),
}
"""Where a request has its id, by its number."""
TOLD_WITH: Mapping[int, tuple[int, ...]] = {
    **dict.fromkeys((3, 5, 10, 17, 81, 90), (1,)),
    **dict.fromkeys((1, 2, 4, 50, 52, 55, 57, 58, 63, 64, 73, 74), (2,)),
    11: (1, 2),
}
"""Where a message has the ids it speaks of; the first is that of the question."""
PARENTS = {3: 28}
"""Where a new order names its parent."""
TIMES: Mapping[int, frozenset[int]] = {7: frozenset({5}), 20: frozenset({15, 17})}
"""Fields that follow from the time at which something is asked."""
EFFECTS = frozenset({3, 4, 58})
STREAMED = frozenset({1, 2, 50, 90})
"""Messages of a subscription; they are not part of the answer to what began it."""
ENDS: Mapping[int, frozenset[int]] = {
    49: frozenset({49}),
    9: frozenset({8}),
    53: frozenset({5, 16}),
    62: frozenset({61}),
    54: frozenset({6}),
    102: frozenset({99}),
    15: frozenset({17}),
    93: frozenset({91}),
}
"""Messages without an id that end the answer to these requests."""
PARTS: Mapping[int, frozenset[int]] = {
    61: frozenset({61}),
    6: frozenset({6}),
    7: frozenset({6}),
    8: frozenset({6}),
    101: frozenset({99}),
}
"""Messages without an id that belong to the answer to these, until it ends."""
COMPLETE = frozenset({17, 52, 55, 57, 64, 74})
LACKING = 321
NOBODY = frozenset({"-1", "0", ""})


class TwsReplay:
    """A server on loopback. Raises ConfigError for a recording that says too little."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.port = 0
        self._greeting = greeting_of(entries)
        self.playback = Playback(Steps(entries).steps, self._tell)
        self._ends: dict[int, asyncio.StreamWriter] = {}
        self._ids: dict[int, dict[str, str]] = {}
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> None:
        """Listen; port 0 takes any free one, and `port` says which."""
        self._server = await asyncio.start_server(self._accept, HOST, port)
        self.port = self._server.sockets[0].getsockname()[1]
        self.playback.start()

    async def stop(self) -> None:
        """End every connection."""
        await self.playback.stop()
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="tws replay")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, Malformed):
                if await reader.readexactly(len(PROMPT)) != PROMPT:
                    return
                await read_frame(reader)
                writer.write(encode(*self._greeting))
                connection = await self._connected(Fields(await read_frame(reader)).peek(), writer)
                while connection:
                    await self._take(connection, Fields(await read_frame(reader)).peek(), writer)
        finally:
            writer.close()

    async def _connected(self, fields: list[str], writer: asyncio.StreamWriter) -> int:
        """Which connection of the recording this is; 0 where it has no such one."""
        numbers: list[int] = []

        def chosen(step: Step) -> None:
            numbers.append(step.connection)
            self._ends[step.connection], self._ids[step.connection] = writer, {}

        await self.playback.ask(question_of(0, fields, {}), chosen)
        return numbers[0] if numbers else 0

    async def _take(self, connection: int, fields: list[str], writer: asyncio.StreamWriter) -> None:
        """One request. What nobody will tell in the order of the recording is told now."""
        ids, place = self._ids[connection], ASKED_WITH.get(int(fields[0]))
        recorded = {ours: theirs for theirs, ours in ids.items()}

        def chosen(step: Step) -> None:
            if place is not None:
                ids[step.entry["fields"][place]] = fields[place]

        question = question_of(connection, fields, recorded)
        found = await self.playback.ask(question, chosen)
        if found is None:
            request = fields[place] if place is not None else -1
            writer.write(encode(4, 2, request, LACKING, f"not in the recording: {question}", ""))
            return
        step, first = found
        late = self.playback.untold(step) if first else [self.playback.steps[each] for each in step.answers]
        for answer in late:
            await self._tell(answer)
            await self.playback.told(answer)

    async def _tell(self, step: Step) -> None:
        writer = self._ends.get(step.connection)
        if writer is None or writer.is_closing():
            return
        if step.entry["kind"] == "closed":
            writer.close()
            return
        fields, ids = list(step.entry["fields"]), self._ids[step.connection]
        for place in TOLD_WITH.get(int(fields[0]), ()):
            fields[place] = ids.get(fields[place], fields[place])
        writer.write(encode(*fields))
        with suppress(ConnectionError):
            await writer.drain()


class Steps:
    """A recording of TWS as steps. Raises ConfigError for one of something else."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.steps: list[Step] = []
        self._asked: dict[tuple[int, str], int] = {}
        self._open: dict[tuple[int, int], int] = {}
        self._complete: set[int] = set()
        for line, entry in enumerate(entries, 1):
            try:
                self._add(entry)
            except (KeyError, ValueError, IndexError) as error:
                raise ConfigError(
                    f"line {line} cannot be replayed as TWS's: {error}",
                    hint="name a recording of IBKR made with live.run --record-wire",
                ) from error

    def _add(self, entry: Entry) -> None:
        number, connection = len(self.steps), int(entry["connection"])
        if entry["kind"] == "greeting":
            return
        if entry["kind"] == "closed":
            self.steps.append(Step(number, entry))
            return
        fields = entry["fields"]
        kind = int(fields[0])
        if entry["from"] == "venue":
            self.steps.append(Step(number, entry))
            self._answer(self.steps[-1], connection, kind, fields)
            return
        named = 0 if kind == START_API else connection
        effect = kind in EFFECTS or kind == START_API
        known = {name: name for asked, name in self._asked if asked == connection}
        self.steps.append(Step(number, entry, question_of(named, fields, known), effect))
        if kind in ASKED_WITH:
            self._asked[connection, fields[ASKED_WITH[kind]]] = number
        else:
            self._open[connection, kind] = number

    def _answer(self, step: Step, connection: int, kind: int, fields: Sequence[str]) -> None:
        """Note to which question a message belongs, if to any."""
        if kind in TOLD_WITH:
            of = self._asked.get((connection, fields[TOLD_WITH[kind][0]]))
            if of is None:
                return
            step.of = of
            if kind not in STREAMED and of not in self._complete and not self.steps[of].effect:
                self.steps[of].answers = (*self.steps[of].answers, step.number)
            if kind in COMPLETE:
                self._complete.add(of)
            return
        for request in (*PARTS.get(kind, ()), *ENDS.get(kind, ())):
            begun = self._open.get((connection, request))
            if begun is not None:
                self.steps[begun].answers = (*self.steps[begun].answers, step.number)
                if kind in ENDS:
                    step.of = begun
                    del self._open[connection, request]
                return


def greeting_of(entries: Sequence[Entry]) -> list[str]:
    """What the gateway said first. Raises ConfigError where it said nothing."""
    for entry in entries:
        if entry["kind"] == "greeting" and entry["from"] == "venue":
            return [str(field) for field in entry["fields"]]
    raise ConfigError("the recording has no gateway's greeting", hint="name a recording of IBKR")


def question_of(connection: int, fields: Sequence[str], recorded: Mapping[str, str]) -> str:
    """A request in words, without its id and without times. recorded: ids of the recording, by the client's."""
    kind = int(fields[0])
    varies = TIMES.get(kind, frozenset())
    kept = [field for place, field in enumerate(redact(list(fields))) if place and place not in varies]
    if kind in PARENTS and len(fields) > PARENTS[kind]:
        parent = fields[PARENTS[kind]]
        kept[PARENTS[kind] - 1] = parent if parent in NOBODY else recorded.get(parent, parent)
    if kind in ASKED_WITH:
        own = fields[ASKED_WITH[kind]]
        # What is cancelled or changed is a thing of the recording; what is new has an id of its own.
        kept[ASKED_WITH[kind] - 1] = recorded.get(own, "new") if kind in (3, 4) else "-"
    name = "startApi" if kind == START_API else REQUESTS.get(kind, str(kind))
    return f"{connection}: {name} {' '.join(kept)}"
