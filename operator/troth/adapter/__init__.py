"""What runs in the pod of a pipeline beside its containers: status-writer, and reader where it is needed.

They are Kratix's contract with a pipeline's containers (kratix-compatibility.md#container-pipelines): which files
these find and leave, and what becomes of them. Each program starts once for every pipeline that runs, so it imports
little: neither click nor the operator's client, which alone would take half a second of a processor.

What is decided is pure (`groups`, `works`, `statuses`, `control`); folders (`files`) and the API server (`server`) are
at the edges, and one module for each thing to do (`reader`, `work_writing`, `status_writer`) puts them together.
"""
