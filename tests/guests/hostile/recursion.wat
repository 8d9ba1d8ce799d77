;; Calls itself for ever.
(func $f (export "evaluate") (param i32) (result i32) (i32.add (i32.const 1) (call $f (local.get 0))))
