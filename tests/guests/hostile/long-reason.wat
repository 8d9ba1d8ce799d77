;; Denies with a reason of ten megabytes.
(memory (export "memory") 200)
(data (i32.const 1300) "\00\00\00\00\00\20\00\00\80\96\98\00")
(func (export "evaluate") (param i32) (result i32)
  (memory.fill (i32.const 8192) (i32.const 97) (i32.const 10000000)) (i32.const 1300))
