"""What does a pipeline of containers become on a cluster, and what do its Jobs say?

Three answers, all pure: the objects of one run (`objects`), what a Job and its Pods say of it (`observation`,
`outcome`), and what is to be done with the Jobs that there are (`planning`). `troth.controllers.container_runner`
carries them out.
"""
