;; Reads memory as fast as it comes. The binary is in read-memory.ts; a test makes it again from this text.
(module
  (import "env" "memory" (memory 0))

  ;; Writes the first $bytes bytes, so that there is memory behind every address.
  (func (export "touch") (param $bytes i32)
    (memory.fill (i32.const 0) (i32.const 1) (local.get $bytes)))

  ;; Adds up what lies from $first to $end, and as much from $second on, 2 x 128 bytes a step. Two places, because each keeps
  ;; a prefetcher busy; four sums, so that no addition waits for the one before; all added up at last, so that none is left out.
  (func (export "read") (param $first i32) (param $second i32) (param $end i32) (result i64)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (loop $next
      (local.set $a (i64x2.add (local.get $a) (v128.load offset=0 (local.get $first))))
      (local.set $b (i64x2.add (local.get $b) (v128.load offset=0 (local.get $second))))
      (local.set $c (i64x2.add (local.get $c) (v128.load offset=16 (local.get $first))))
      (local.set $d (i64x2.add (local.get $d) (v128.load offset=16 (local.get $second))))
      (local.set $a (i64x2.add (local.get $a) (v128.load offset=32 (local.get $first))))
      (local.set $b (i64x2.add (local.get $b) (v128.load offset=32 (local.get $second))))
      (local.set $c (i64x2.add (local.get $c) (v128.load offset=48 (local.get $first))))
      (local.set $d (i64x2.add (local.get $d) (v128.load offset=48 (local.get $second))))
      (local.set $a (i64x2.add (local.get $a) (v128.load offset=64 (local.get $first))))
      (local.set $b (i64x2.add (local.get $b) (v128.load offset=64 (local.get $second))))
      (local.set $c (i64x2.add (local.get $c) (v128.load offset=80 (local.get $first))))
      (local.set $d (i64x2.add (local.get $d) (v128.load offset=80 (local.get $second))))
      (local.set $a (i64x2.add (local.get $a) (v128.load offset=96 (local.get $first))))
      (local.set $b (i64x2.add (local.get $b) (v128.load offset=96 (local.get $second))))
      (local.set $c (i64x2.add (local.get $c) (v128.load offset=112 (local.get $first))))
      (local.set $d (i64x2.add (local.get $d) (v128.load offset=112 (local.get $second))))
      (local.set $second (i32.add (local.get $second) (i32.const 128)))
      (local.set $first (i32.add (local.get $first) (i32.const 128)))
      (br_if $next (i32.lt_u (local.get $first) (local.get $end))))
    (local.set $a (i64x2.add (i64x2.add (local.get $a) (local.get $b)) (i64x2.add (local.get $c) (local.get $d))))
    (i64.add (i64x2.extract_lane 0 (local.get $a)) (i64x2.extract_lane 1 (local.get $a)))))
