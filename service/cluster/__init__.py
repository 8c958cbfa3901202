"""The Ray engine: placement, scaling and crash detection on many machines (optional extra `ray`).

Ray keeps nothing that matters. Jobs, leases, priorities and fair shares stay in the database, and every
actor runs the worker of `service.worker`, which claims jobs as it does without Ray. Only modules of this
package import Ray, and only inside functions.
"""
