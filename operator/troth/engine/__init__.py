"""What is decided, without network, API server or clock: the core that everything else carries out.

Each package answers one question, and imports only those below it (`make lint` checks that):

* `workers`: in which processes are templates run, and who waits for whom?
* `linting`: what is wrong with what a Promise's templates read, and with what they render?
* `judgement`, a single module: what becomes of a request? `jobs`: what does a pipeline of containers become on a
  cluster, and what do its Jobs say?
* `workflow`: what do the steps of a workflow come to, and which of them is next?
* `rendering`: what do pipelines make of a request? `promises`: what is a Promise's API on a cluster, and what does a
  change of it mean? `kinds`: what may stand in an object of some kind?
* `status`: what do the objects say of all that?
* `placement`: which files go to which Destinations, and where do they stand there? `admission`: what would the API
  server do with an object?
* `yaml`: how is a text read and written?

The loose modules are the vocabulary that these packages share. This package exports nothing: every name is imported
from the module that defines it, so no command loads more than it uses.
"""
