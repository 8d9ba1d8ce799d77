;; A policy that reads. The argument `/do` says what it does:
;;   absent: allows · "all": denies with the canonical arguments as its reason · "bad": asks with a malformed pointer ·
;;   "storm": reads all arguments for ever · "facts": asks for facts for ever · "calls": asks how many calls there were ·
;;   any other text is a pointer: denies when there is a value, asks for nothing and passes when there is none.
;; Settings of more than two bytes make it read arguments while it is configured.
(component
  CONTRACT
  (import "portcullis:policy/json@0.1.0" (instance $json
    (type $value' (variant (case "null") (case "boolean" bool) (case "number" string) (case "text" string)
      (case "items" u32) (case "members" (list string))))
    (export "value" (type (eq $value')))))
  (alias export $json "value" (type $value))
  (import "portcullis:policy/arguments@0.1.0" (instance $arguments
    (alias outer 1 $value (type $v'))
    (export "value" (type $v (eq $v')))
    (export "get" (func (param "pointer" string) (result (option $v))))
    (export "canonical" (func (result string)))))
  (import "portcullis:policy/facts@0.1.0" (instance $facts
    (export "calls" (func (param "window-ms" u64) (result u64)))))
  (core module $libc
    (global $heap (mut i32) (i32.const 8192))
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
      ;; What a storm reads is written over what it has read.
      (if (i32.lt_u (local.get $at) (i32.const 65536))
        (then (global.set $heap (i32.add (local.get $at) (local.get 3)))))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $mem))
  (alias core export $libc "realloc" (core func $alloc))
  (core func $get (canon lower (func $arguments "get") (memory $mem) (realloc $alloc)))
  (core func $canonical (canon lower (func $arguments "canonical") (memory $mem) (realloc $alloc)))
  (core func $calls (canon lower (func $facts "calls")))
  (core module $m
    (import "libc" "memory" (memory 2))
    (import "libc" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "host" "get" (func $get (param i32 i32 i32)))
    (import "host" "canonical" (func $canonical (param i32)))
    (import "host" "calls" (func $calls (param i64) (result i64)))
    (export "memory" (memory 0))
    (export "realloc" (func $realloc))
    (data (i32.const 1024) "\20\04\00\00\03\00\00\00\24\04\00\00\05\00\00\00\2a\04\00\00\07\00\00\00\32\04\00\00\02\00\00\00wat\001.0.0\00A test.\00{}")
    (data (i32.const 1100) "\02")
    (data (i32.const 1400) "\03")
    (data (i32.const 1500) "/do")
    (data (i32.const 1510) "no")
    ;; A denial without a text: its reason is written at 1304.
    (data (i32.const 1300) "\00")
    (func (export "describe") (result i32) (i32.const 1024))
    (func (export "configure") (param i32 i32) (result i32)
      (if (i32.gt_u (local.get 1) (i32.const 2)) (then (call $canonical (i32.const 1600))))
      (i32.const 1200))
    (func (export "visible") (param i32) (result i32) (i32.const 1))
    (func $deny (param $text i32) (param $len i32) (result i32)
      (i32.store (i32.const 1304) (local.get $text))
      (i32.store (i32.const 1308) (local.get $len))
      (i32.const 1300))
    ;; get answers at 1600: whether there is a value, its case, and for a text its address and length.
    (func (export "evaluate") (param i32) (result i32)
      (local $text i32) (local $len i32) (local $first i32) (local $second i32)
      (call $get (i32.const 1500) (i32.const 3) (i32.const 1600))
      (if (i32.eqz (i32.load8_u (i32.const 1600))) (then (return (i32.const 1100))))
      (local.set $text (i32.load (i32.const 1608)))
      (local.set $len (i32.load (i32.const 1612)))
      (local.set $first (i32.load8_u (local.get $text)))
      (local.set $second (i32.load8_u (i32.add (local.get $text) (i32.const 1))))
      (if (i32.eq (local.get $first) (i32.const 97)) (then ;; a
        (call $canonical (i32.const 1620))
        (return (call $deny (i32.load (i32.const 1620)) (i32.load (i32.const 1624))))))
      (if (i32.eq (local.get $first) (i32.const 98)) (then ;; b
        (call $get (i32.const 1510) (i32.const 2) (i32.const 1600))))
      (if (i32.eq (local.get $first) (i32.const 115)) (then ;; s
        (loop $l (call $canonical (i32.const 1620)) (br $l))))
      (if (i32.eq (local.get $first) (i32.const 102)) (then ;; f
        (loop $l (drop (call $get_calls)) (br $l))))
      (if (i32.eq (local.get $first) (i32.const 99)) (then ;; c
        (drop (call $get_calls)) (return (i32.const 1100))))
      (call $get (local.get $text) (local.get $len) (i32.const 1600))
      (if (result i32) (i32.load8_u (i32.const 1600))
        (then (call $deny (i32.const 1510) (i32.const 2)))
        (else (i32.const 1400))))
    (func $get_calls (result i64) (call $calls (i64.const 3600000))))
  (core instance $i (instantiate $m
    (with "libc" (instance $libc))
    (with "host" (instance (export "get" (func $get)) (export "canonical" (func $canonical)) (export "calls" (func $calls))))))
  EXPORTS)
