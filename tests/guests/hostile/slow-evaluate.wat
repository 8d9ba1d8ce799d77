;; Follows a chain of pointers, each of which lies in another corner of its memory: few instructions, and much time for each.
(memory (export "memory") 514)
(func (export "evaluate") (param i32) (result i32) (local $place i32) (local $at i32)
  (loop $fill
    (i32.store (i32.add (i32.const 65536) (i32.shl (local.get $place) (i32.const 6)))
      (i32.add (i32.const 65536) (i32.shl (i32.and (i32.add (i32.mul (local.get $place) (i32.const 166525)) (i32.const 12345))
        (i32.const 524287)) (i32.const 6))))
    (local.set $place (i32.add (local.get $place) (i32.const 1)))
    (br_if $fill (i32.lt_u (local.get $place) (i32.const 524288))))
  (local.set $at (i32.const 65536))
  (loop $walk
    local.get $at
    i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load
    i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load
    i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load
    i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load i32.load
    local.set $at
    br $walk)
  (unreachable))
