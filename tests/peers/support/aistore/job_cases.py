"""`Job`: status, waiting, snapshots, starting, aborting."""

from datetime import datetime, timedelta, timezone

from cases import case, check, equal, eventually
from sdk import VERSION, buckets, client, done, idle, names, needs


@case
def of_a_copy_is_waited_for():
    with buckets(2, a=b"1") as (source, target):
        job = client().job(source.copy(target))
        job.wait(timeout=30, verbose=False)
        equal(names(target), ["a"])
        check(job.status is not None and job.job_id, "it has a name")


@case
def that_is_idle_stays_listed():
    with buckets(a=b"1") as bucket:
        job = bucket.objects(obj_names=["a"]).delete()
        idle(job)
        status = client().job(job).status()
        check(status is not None, "a status")


@case
def are_listed_by_kind():
    with buckets(2, a=b"1") as (source, target):
        job = source.copy(target)
        done(job)
        found = [status.uuid for status in client().cluster().list_jobs_status(job_kind="copy-bck")]
        check(job in found, f"{job} is in {found}")
        check(isinstance(client().cluster().list_running_jobs(), list), "a list of running jobs")


@case
def are_found_by_time():
    # Old versions compare times without a zone.
    start = (datetime.now(timezone.utc) if VERSION >= (1, 9) else datetime.utcnow()) - timedelta(seconds=5)
    with buckets(2, a=b"1") as (source, target):
        job = source.copy(target)
        done(job)
        end = start + timedelta(seconds=60)
        found = client().job(job_kind="copy-bck").get_within_timeframe(start, end)
        check(job in [snapshot.id for snapshot in found], "the job is among them")


@case
def have_details():
    needs((1, 25), "get_details")
    with buckets(2, a=b"12345") as (source, target):
        job = client().job(source.copy(target))
        job.wait(timeout=30, verbose=False)
        snapshots = eventually(lambda: job.get_details().list_snapshots(), "snapshots")
        equal({snapshot.kind for snapshot in snapshots}, {"copy-bck"})
        check(job.get_total_time() is not None, "a total time")


@case
def are_started_and_waited_for():
    job = client().job(job_kind="cleanup")
    done(job.start())
    single = client().job(client().job(job_kind="lru").start())
    single.wait_single_node(timeout=30, verbose=False)


@case
def are_aborted():
    needs((2, 0), "abort")
    job = client().job(client().job(job_kind="lru").start(), "lru")
    try:
        job.abort()
    except Exception as error:  # it may have ended by then
        equal(getattr(error, "status_code", None), 404)
