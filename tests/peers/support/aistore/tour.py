"""AIStore's Python SDK against the dev server: its whole API, as far as that is no cloud's or Kubernetes' matter."""

import archive_making  # noqa: F401  (each module brings its cases)
import archives  # noqa: F401
import batches  # noqa: F401
import bucket_cases  # noqa: F401
import cluster_cases  # noqa: F401
import groups  # noqa: F401
import job_cases  # noqa: F401
import listing  # noqa: F401
import multipart  # noqa: F401
import node_cases  # noqa: F401
import object_cases  # noqa: F401
from cases import main

main()
