"""The Git writer against a real repository: grouping, strangers, refusals, crashes."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.file_stores import GitStore
from tests.store_contract import Claims, manifest
from tests.waiting import eventually
from troth.dev.git_server import create_repository, git
from troth.stores import Claim, StoreError, Written
from troth.stores.git import GitSettings

FAST = GitSettings(minimum_fetch_interval=0.0)
PATIENT = GitSettings(minimum_fetch_interval=3600.0)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[GitStore]:
    store = GitStore(tmp_path)
    yield store
    await store.close()


@pytest.fixture
def claims() -> Claims:
    return Claims("default")


def versions(written: list[Written]) -> set[str]:
    return {each.version for each in written}


async def test_an_idle_claim_is_one_commit_that_names_its_owner(store: GitStore, claims: Claims) -> None:
    writer = store.writer()
    written = await writer.write(
        claims("default/orders.worker-1-5058f", {"resources/x.yaml": "1"}, directory=None)
    )
    assert written.version == store.head()
    assert store.commits() == 2
    subject, _, body = store.messages()[0].partition("\n\n")
    assert subject == "Update from: orders.worker-1-5058f"
    assert body.strip() == "default/orders.worker-1-5058f: 1 file added"
    who = git(store.repository, "log", "-1", "--format=%an <%ae> %cn <%ce>", "main").decode().strip()
    assert who == "Platform Team <platform@example.com> Platform Team <platform@example.com>"


async def test_a_removal_says_so_in_the_log(store: GitStore, claims: Claims) -> None:
    writer = store.writer()
    await writer.write(claims("default/a", {"resources/default/a/x.yaml": "1"}, message="a note"))
    await writer.write(claims("default/a", {}, message="a note"))
    assert store.messages()[0].strip() == "Delete from: a note\n\ndefault/a: 1 file removed"


async def test_a_commit_of_many_lists_every_owner(store: GitStore, claims: Claims) -> None:
    writer = store.writer()
    await writer.write(claims("default/b", {"b/x.yaml": "1", "b/y.yaml": "1"}, directory="b"))
    await asyncio.gather(
        writer.write(claims("default/b", {"b/x.yaml": "2"}, directory="b")),
        writer.write(claims("default/a", {"a/x.yaml": "1"}, directory="a", message="two\nlines")),
    )
    assert store.messages()[0].strip().splitlines() == [
        "Update from: 2 placements (1 file added, 1 changed, 1 removed)",
        "",
        "* default/a: 1 file added (two lines)",
        "* default/b: 1 file changed, 1 removed",
    ]


async def test_a_thousand_claims_at_once_are_few_commits_and_each_learns_its_own(
    store: GitStore, claims: Claims
) -> None:
    writer = store.writer()
    wanted = [claims(f"o{n}", {f"resources/o{n}/{f}.yaml": str(n) for f in "xyz"}) for n in range(1000)]
    written = await asyncio.gather(*(writer.write(claim) for claim in wanted))
    assert store.commits() - 1 <= 40
    assert len(await store.contents()) == 3000
    sample = written[500]
    listed = git(store.repository, "ls-tree", "-r", "--name-only", sample.version, "resources/o500/")
    assert listed.decode().split() == [f"resources/o500/{f}.yaml" for f in "xyz"]


async def test_claims_that_trickle_in_are_gathered(store: GitStore, claims: Claims) -> None:
    writer = store.writer()

    async def arrive(number: int) -> Written:
        await asyncio.sleep(number * 0.03)  # the load that is under test, not a way to wait for something
        return await writer.write(claims(f"o{number}", {f"resources/o{number}/x.yaml": "1"}))

    written = await asyncio.gather(*(arrive(number) for number in range(50)))
    assert len(versions(written)) <= 6
    assert store.commits() - 1 == len(versions(written))


async def test_claims_one_after_another_do_not_wait_for_company(store: GitStore, claims: Claims) -> None:
    writer = store.writer()
    for number in range(5):
        await writer.write(claims("a", {"resources/a/x.yaml": str(number)}))
    assert store.commits() == 6


async def test_fifty_pushes_of_strangers_meanwhile_all_survive(store: GitStore, claims: Claims) -> None:
    writer = store.writer()
    await writer.write(claims("a", {"resources/a/x.yaml": "0"}))

    def push_all() -> None:
        for number in range(50):
            store.push({f"by-hand/{number}.txt": b"kept\n"})

    strangers = asyncio.create_task(asyncio.to_thread(push_all))
    number = 0
    while not strangers.done():
        number += 1
        await asyncio.gather(
            *(writer.write(claims(owner, {f"resources/{owner}/x.yaml": str(number)})) for owner in ("a", "b"))
        )
    await strangers
    files = store.files()
    assert [path for path in (f"by-hand/{n}.txt" for n in range(50)) if path not in files] == []
    last = {"resources/a/x.yaml": str(number), "resources/b/x.yaml": str(number)}
    assert await store.contents() == last
    # nothing was merged or overwritten: the history is one line that holds every push
    assert git(store.repository, "rev-list", "--merges", "main") == b""
    assert store.messages().count("By hand") + store.messages().count("By hand\n") == 50


async def test_a_branch_that_was_set_back_stays_back_and_only_ours_returns(
    store: GitStore, claims: Claims
) -> None:
    writer = store.writer(settings=PATIENT)
    await writer.write(claims("a", {"resources/a/x.yaml": "1"}))
    good = store.head()
    store.push({"by-hand.txt": b"a mistake\n"})
    await writer.write(claims("b", {"resources/b/x.yaml": "1"}))
    store.rewind(good)
    await writer.write(claims("c", {"resources/c/x.yaml": "1"}))
    assert "by-hand.txt" not in store.files()
    assert await writer.refresh()
    await writer.write(claims("b", {"resources/b/x.yaml": "1"}))
    assert set(await store.contents()) == {f"resources/{owner}/x.yaml" for owner in "abc"}
    assert "by-hand.txt" not in store.files()


async def test_what_is_unchanged_starts_no_program(store: GitStore, claims: Claims, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    real = shutil.which("git")
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    writer = store.writer(settings=PATIENT, path=f"{wrapper.parent}:{os.environ['PATH']}")
    wanted = [claims(f"o{n}", {f"resources/o{n}/x.yaml": "1"}) for n in range(100)]
    await asyncio.gather(*(writer.write(claim) for claim in wanted))
    assert log.read_text().count("push") == 1
    log.write_text("")
    again = await asyncio.gather(*(writer.write(claim) for claim in wanted))
    assert not any(written.changed for written in again)
    assert log.read_text() == ""


async def test_a_rule_of_the_server_is_told_with_its_own_words(store: GitStore, claims: Claims) -> None:
    store.hook("pre-receive", "echo 'Commits need a ticket number.'; exit 1")
    writer = store.writer()
    with pytest.raises(StoreError) as caught:
        await writer.write(claims("a", {"resources/a/x.yaml": "1"}))
    assert caught.value.reason == "PushRefused"
    assert "Commits need a ticket number." in caught.value.message
    assert "pre-receive hook declined" in caught.value.message
    assert caught.value.retryable


@pytest.mark.parametrize("place", [0, 3, 7], ids=["first", "in the middle", "last"])
async def test_a_rule_that_means_one_claim_does_not_stop_the_others(
    store: GitStore, claims: Claims, place: int
) -> None:
    store.hook(
        "pre-receive",
        'while read old new ref; do git diff-tree -r --name-only "$old" "$new" | grep -q forbidden && '
        "echo 'That is forbidden.' && exit 1; done; exit 0",
    )
    writer = store.writer()
    owners = [f"o{n}" for n in range(7)]
    owners.insert(place, "forbidden")
    outcomes = await asyncio.gather(
        *(writer.write(claims(owner, {f"resources/{owner}/x.yaml": "1"})) for owner in owners),
        return_exceptions=True,
    )
    refusal = outcomes.pop(place)
    assert [type(outcome) for outcome in outcomes] == [Written] * 7
    assert isinstance(refusal, StoreError)
    assert "That is forbidden." in str(refusal)
    assert refusal.selective
    assert set(await store.contents()) == {f"resources/o{n}/x.yaml" for n in range(7)}


async def test_a_rule_that_means_everybody_is_not_taken_for_one_that_means_some(
    store: GitStore, claims: Claims
) -> None:
    writer = store.writer()
    await writer.write(claims("there", {"resources/there/x.yaml": "1"}))
    store.hook("pre-receive", "echo 'frozen'; exit 1")
    owners = ["a", "there", "b", "c"]
    refusals = await asyncio.gather(
        *(writer.write(claims(owner, {f"resources/{owner}/x.yaml": "1"})) for owner in owners),
        return_exceptions=True,
    )
    assert isinstance(refusals.pop(1), Written), "it was there already"
    assert [(type(each), getattr(each, "selective", None)) for each in refusals] == [(StoreError, False)] * 3


@pytest.mark.parametrize("empty", [True, False])
async def test_a_missing_branch_says_how_to_make_one(tmp_path: Path, claims: Claims, empty: bool) -> None:
    repository = tmp_path / "state.git"
    if empty:
        repository.mkdir()
        git(repository, "init", "--quiet", "--bare", ".")
    else:
        create_repository(repository, branch="trunk")
    store = GitStore(tmp_path, repository=repository, url=str(repository))
    writer = store.writer()
    for attempt in (writer.check(), writer.write(claims("a", {"a/x.yaml": "1"})), writer.refresh()):
        with pytest.raises(StoreError) as caught:
            await attempt
        assert caught.value.reason == "BranchMissing"
        assert "create the branch with an initial commit" in caught.value.hint
    if empty:  # and as soon as there is one, all is well
        first = b"commit refs/heads/main\ncommitter A <a@b> 0 +0000\ndata 1\nx\n"
        git(repository, "fast-import", "--quiet", stdin=first)
        await writer.write(claims("a", {"a/x.yaml": "1"}))
        assert "a/x.yaml" in store.files()
    await store.close()


async def test_a_missing_repository_says_so(tmp_path: Path, claims: Claims) -> None:
    store = GitStore(tmp_path, repository=tmp_path / "gone.git", url=str(tmp_path / "gone.git"))
    with pytest.raises(StoreError) as caught:
        await store.writer().check()
    assert caught.value.reason == "RepositoryMissing"
    await store.close()


async def test_a_push_that_arrived_although_its_answer_did_not_is_not_made_twice(
    store: GitStore, claims: Claims
) -> None:
    store.hook("post-receive", "sleep 30")
    writer = store.writer(settings=GitSettings(command_timeout=1.0, minimum_fetch_interval=0.0))
    claim = claims("a", {"resources/a/x.yaml": "1"}, directory=None)
    with pytest.raises(StoreError) as caught:
        await writer.write(claim)
    assert caught.value.reason == "DeadlineExceeded"
    assert store.commits() == 2
    assert not await writer.refresh()  # it was nobody else
    again = await writer.write(claim)
    assert (again.changed, again.version, store.commits()) == (False, store.head(), 2)


async def test_closing_ends_every_program_of_a_push_that_hangs(
    store: GitStore, claims: Claims, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    store.hook("pre-receive", f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; sleep 60")
    writer = store.writer(settings=GitSettings(close_grace=0.05))
    waiting = asyncio.create_task(writer.write(claims("a", {"resources/a/x.yaml": "1"})))
    await eventually(pid_file.exists, "the push hangs in the hook")
    await writer.close()
    with pytest.raises(StoreError):
        await waiting
    pid = int(pid_file.read_text())

    def ended() -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        return state == "Z"

    await eventually(ended, "the hook is gone")
    assert list(store.workspace.iterdir()) == []


async def test_a_repository_and_a_workspace_may_have_spaces_in_their_names(tmp_path: Path, claims: Claims) -> None:
    folder = tmp_path / "my platform"
    folder.mkdir()
    store = GitStore(folder)
    writer = store.writer()
    await writer.write(claims("a", {"resources/a b/x.yaml": "1"}))
    await writer.close()
    assert "resources/a b/x.yaml" in store.files()


async def test_the_workspace_is_private_and_leaves_nothing(store: GitStore, claims: Claims) -> None:
    writer = store.writer()
    await writer.write(claims("a", {"resources/a/x.yaml": "1"}))
    (clone,) = store.workspace.iterdir()
    assert stat.S_IMODE(clone.stat().st_mode) == 0o700
    await writer.close()
    assert list(store.workspace.iterdir()) == []


async def test_what_a_killed_process_left_is_swept_and_what_a_living_one_uses_is_not(
    store: GitStore, claims: Claims
) -> None:
    dead = store.workspace / "git-dead"
    dead.mkdir(parents=True)
    (dead / "lock").touch()
    first = store.writer()
    await first.write(claims("a", {"resources/a/x.yaml": "1"}))
    second = store.writer()
    await second.check()
    await first.write(claims("a", {"resources/a/x.yaml": "2"}))
    assert not dead.exists()
    assert len(list(store.workspace.iterdir())) == 2


async def test_a_lost_clone_is_made_anew(store: GitStore, claims: Claims) -> None:
    writer = store.writer()
    await writer.write(claims("a", {"resources/a/x.yaml": "1"}))
    (clone,) = store.workspace.iterdir()
    for objects in (clone / "repository" / "objects").glob("??"):
        shutil.rmtree(objects)
    with pytest.raises(StoreError) as caught:
        await writer.write(claims("a", {"resources/a/x.yaml": "2"}))
    assert caught.value.retryable
    await writer.write(claims("a", {"resources/a/x.yaml": "2"}))
    assert await store.contents() == {"resources/a/x.yaml": "2"}


@pytest.mark.slow
async def test_the_clone_does_not_grow_for_ever(store: GitStore, claims: Claims) -> None:
    writer = store.writer(settings=GitSettings(compact_after=10))
    for number in range(25):
        await writer.write(claims("a", {f"resources/a/{number}.yaml": "1"}))
        (clone,) = store.workspace.iterdir()
    await writer.write(claims("a", {"resources/a/last.yaml": "1"}))
    counted = git(clone / "repository", "count-objects", "-v").decode()
    loose = int(counted.split("count: ")[1].split()[0])
    assert loose < 10 * 8
    assert await store.contents() == {"resources/a/last.yaml": "1"}
    assert store.commits() == 27


async def test_a_file_of_another_kind_is_made_ordinary(store: GitStore, claims: Claims) -> None:
    content = manifest("resources/a/x.yaml", "1", "default")
    commit = b"commit refs/heads/main\ncommitter A <a@b> 0 +0000\ndata 1\nx\nfrom refs/heads/main^0\n"
    program = b"M 100755 inline resources/a/x.yaml\ndata %d\n%s\n" % (len(content), content)
    link = b"M 120000 inline resources/a/link\ndata 11\n/etc/passwd\n"
    git(store.repository, "fast-import", "--quiet", stdin=commit + program + link)
    writer = store.writer()
    assert (await writer.write(claims("a", {"resources/a/x.yaml": "1"}))).changed
    listed = git(store.repository, "ls-tree", "-r", "main", "resources/").decode().splitlines()
    assert [line.split()[0] for line in listed] == ["100644"]


async def test_strange_names_are_written_and_removed(store: GitStore, claims: Claims) -> None:
    paths = [
        'resources/a/with "quotes" and \\.yaml',
        "resources/a/ünï ço dé.yaml",
        "resources/a/-x.yaml",
        "resources/a/.hidden",
    ]
    writer = store.writer()
    await writer.write(claims("a", dict.fromkeys(paths, "1")))
    assert sorted(store.files()) == sorted([*paths, "README.md"])
    await writer.write(claims("a", {}))
    assert sorted(store.files()) == ["README.md"]


async def test_an_owner_that_moves_takes_its_files_along(store: GitStore, claims: Claims) -> None:
    writer = store.writer()
    await writer.write(claims("a", {"old/a/x.yaml": "1"}, directory="old/a"))
    await writer.write(claims("a", {"new/a/x.yaml": "1"}, directory="new/a"))
    assert await store.contents() == {"new/a/x.yaml": "1"}


async def test_what_a_claim_calls_obsolete_goes_although_nobody_remembers_it(
    store: GitStore, claims: Claims
) -> None:
    store.push({"worker-1/aggregated.yaml": manifest("worker-1/aggregated.yaml", "1", "default")})
    writer = store.writer()
    gone = claims(
        "destination/worker-1",
        {},
        directory=None,
        obsolete=("worker-1/aggregated.yaml", "worker-1/none"),
        by_name=True,
    )
    assert (await writer.write(gone)).changed
    assert await store.contents() == {}
    assert not (await writer.write(gone)).changed


async def test_an_unclaimed_file_in_the_way_is_told_and_not_destroyed(store: GitStore, claims: Claims) -> None:
    store.push({"resources/a": b"a file\n", "resources/b/x.yaml/keep": b"a folder\n"})
    writer = store.writer()
    for owner in ("a", "b"):
        with pytest.raises(StoreError, match="cannot be written") as caught:
            await writer.write(claims(owner, {f"resources/{owner}/x.yaml": "1"}, directory=None))
        assert caught.value.reason == "PathConflict"
    assert {"resources/a", "resources/b/x.yaml/keep"} <= set(store.files())


async def test_a_file_may_become_a_folder_in_its_owners_folder(store: GitStore, claims: Claims) -> None:
    writer = store.writer()
    await writer.write(claims("a", {"resources/a/x": "1"}))
    await writer.write(claims("a", {"resources/a/x/y.yaml": "1"}))
    await writer.write(claims("a", {"resources/a/x": "2"}))
    assert await store.contents() == {"resources/a/x": "2"}


async def test_a_claim_whose_waiters_have_gone_is_not_written(store: GitStore, claims: Claims) -> None:
    writer = store.writer()
    await writer.write(claims("a", {"resources/a/x.yaml": "1"}))
    tasks = [asyncio.create_task(writer.write(claims(o, {f"resources/{o}/x.yaml": "2"}))) for o in ("a", "b")]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await store.contents() == {"resources/a/x.yaml": "1", "resources/b/x.yaml": "2"}


async def test_content_that_is_not_what_was_claimed_is_refused(store: GitStore, claims: Claims) -> None:
    writer = store.writer()
    claim = claims("a", {"resources/a/x.yaml": "1"})

    async def other() -> dict[str, bytes]:
        return {"resources/a/x.yaml": b"something else"}

    async def nothing() -> dict[str, bytes]:
        return {}

    for load in (other, nothing):
        with pytest.raises(StoreError) as caught:
            await writer.write(Claim("a", claim.files, load, directory=claim.directory))
        assert caught.value.reason == "ContentUnavailable"
    assert await store.contents() == {}


async def test_two_writers_of_one_branch_do_each_other_no_harm(store: GitStore, claims: Claims) -> None:
    writers = [store.writer(settings=FAST) for _ in range(3)]
    await asyncio.gather(
        *(
            writer.write(claims(f"w{number}-{n}", {f"resources/w{number}-{n}/x.yaml": "1"}))
            for number, writer in enumerate(writers)
            for n in range(20)
        )
    )
    assert len(await store.contents()) == 60


async def test_a_killed_git_is_an_error_that_can_be_tried_again(
    store: GitStore, claims: Claims, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    store.hook(
        "pre-receive",
        f"test -e {pid_file} && exit 0; echo $PPID > {pid_file}.new; mv {pid_file}.new {pid_file}; sleep 60",
    )
    writer = store.writer()
    waiting = asyncio.create_task(writer.write(claims("a", {"resources/a/x.yaml": "1"})))
    await eventually(pid_file.exists, "the push hangs in the hook")
    os.killpg(os.getpgid(int(pid_file.read_text())), signal.SIGKILL)
    with pytest.raises(StoreError) as caught:
        await waiting
    assert caught.value.retryable
    await writer.write(claims("a", {"resources/a/x.yaml": "1"}))
    assert await store.contents() == {"resources/a/x.yaml": "1"}


async def test_a_closed_writer_makes_no_new_clone(store: GitStore) -> None:
    writer = store.writer()
    await writer.check()
    await writer.close()
    for attempt in (writer.check(), writer.refresh()):
        with pytest.raises(StoreError, match="closed"):
            await attempt
    assert list(store.workspace.iterdir()) == []
