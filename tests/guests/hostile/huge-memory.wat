;; Wants a gigabyte before it starts.
(memory (export "memory") 16384)
