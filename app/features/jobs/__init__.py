"""Jobs: the pages and the API over the job engine."""

from app.core.feature import Container, Feature, NavItem
from app.core.jobs import JobEngine
from app.features.jobs import controllers, log_controllers, page_controllers
from app.features.jobs.pages import Names, job_page, job_row
from app.features.jobs.queries import JobReads
from app.features.jobs.stored import told as told_of_job
from app.features.notifications import Texts
from app.features.stacks import Stacks

__all__ = ["FEATURE", "JobReads", "Names", "job_page", "job_row", "told_of_job"]


def _setup(container: Container) -> None:
    container.get(Texts).retell = told_of_job  # messages about jobs, in another language than the one that is stored
    container.put(JobReads, JobReads(container.get(JobEngine), container.get(Stacks)))


FEATURE = Feature(
    name="jobs",
    setup=_setup,
    handlers=(*controllers.HANDLERS, *log_controllers.HANDLERS, *page_controllers.HANDLERS),
    provides={"jobs": JobEngine, "job_reads": JobReads},
    nav=(NavItem("/queue", "Jobs", "n-jobs"),),
)
