# One tile: {rows} x {vectors} sums of 16 columns, in zmm0 and on, row by row. Assembled once for each size.
#
#   rdi  the tile                      r9   byte of the segment that comes next
#   rsi  pointers to rows of A         r10  end of whole fours, r11 end of the segment
#   rdx  segments left                 r12  what is fetched ahead
#   rcx  row of B                      r14  three times r8
#   r8   bytes between panels of B     r15  the end of the tile
#
# zmm31 holds a value of A, the {vectors} registers before it a row of B.

.altmacro
# Names `action` once for every sum, with its register, row and vector.
.macro each_sum action
  at_row = 0
  .rept {rows}
    at_vector = 0
    .rept {vectors}
      \action %(at_row * {vectors} + at_vector), %at_row, %at_vector
      at_vector = at_vector + 1
    .endr
    at_row = at_row + 1
  .endr
.endm
.macro clear sum, row, vector
  vpxord zmm\sum, zmm\sum, zmm\sum
.endm
# A value of A by a row of B. Pointers are read again in every step: with 14 rows they do not fit the registers.
.macro multiply sum, row, vector
  .if \vector == 0
    mov rax, [rsi + 8 * \row]
    vbroadcastss zmm31, dword ptr [rax + r9 + 4 * depth]
  .endif
  times \sum, %(31 - {vectors} + \vector)
.endm
.macro times sum, b
  vfmadd231ps zmm\sum, zmm\b, zmm31
.endm
# A row of B, `depth` further on.
.macro load_b to, vector
  .if \vector == 0
    vmovups zmm\to, [rcx + 64 * depth]
  .elseif \vector == 3
    vmovups zmm\to, [rcx + r14 + 64 * depth]
  .else
    vmovups zmm\to, [rcx + \vector * r8 + 64 * depth]
  .endif
.endm
# The same for rows of one vector, which loads bound: several steps with each pointer, rows of B in zmm27 to zmm30.
.macro many sum, row, vector
  mov rax, [rsi + 8 * \row]
  depth = 0
  .rept count_of_steps
    once \sum, %(27 + depth)
    depth = depth + 1
  .endr
.endm
.macro once sum, b
  vfmadd231ps zmm\sum, zmm\b, dword ptr [rax + r9 + 4 * depth]{{1to16}}
.endm
# The next `count` steps of the inner dimension.
.macro steps count
  depth = 0
  count_of_steps = \count
  .rept \count
    at_vector = 0
    .if {vectors} == 1
      load_b %(27 + depth), 0
    .else
      .rept {vectors}
        load_b %(31 - {vectors} + at_vector), %at_vector
        at_vector = at_vector + 1
      .endr
      each_sum multiply
    .endif
    depth = depth + 1
  .endr
  .if {vectors} == 1
    each_sum many
  .endif
  add rcx, 64 * \count
  add r9, 4 * \count
.endm
# At the end memory is a row at `rax`, the next one `r9` bytes further. The last vector has the columns of k1.
.macro next_row vector
  .if \vector == {vectors} - 1
    add rax, r9
  .endif
.endm
.macro take sum, row, vector
  .if \vector == {vectors} - 1
    vmovups zmm31{{k1}}{{z}}, [rax + 64 * \vector]
    vaddps zmm\sum, zmm\sum, zmm31
  .else
    vaddps zmm\sum, zmm\sum, [rax + 64 * \vector]
  .endif
  next_row \vector
.endm
# The second operand is returned where either is NaN.
.macro clamp sum, row, vector
  vmaxps zmm\sum, zmm30, zmm\sum
  vminps zmm\sum, zmm31, zmm\sum
.endm
.macro give sum, row, vector
  .if \vector == {vectors} - 1
    vmovups [rax + 64 * \vector]{{k1}}, zmm\sum
  .else
    vmovups [rax + 64 * \vector], zmm\sum
  .endif
  next_row \vector
.endm

each_sum clear
mov rax, [r15 + {mask}]
kmovw k1, eax
mov rsi, [rdi + {table}]
mov rdx, [rdi + {segs}]
mov rcx, [rdi + {b}]
mov r8, [rdi + {b_stride}]
shl r8, 2
lea r14, [r8 + 2 * r8]
mov r12, [rdi + {ahead}]
test rdx, rdx
jz 9f
# A segment: bytes `r9` to `r11` of each row, the first `r10` of them in fours.
2:
mov r9, [rdi + {offset}]
mov r11, [rdi + {seg_len}]
mov r10, r11
and r10, -4
add r11, r9
add r10, r9
shl r9, 2
shl r10, 2
shl r11, 2
cmp r9, r10
jae 6f
.p2align 4
3:
mov r13, [rdi + {lines}]
test r13, r13
jz 5f
mov rax, r12
4:
prefetcht1 [rax]
.if {vectors} > 1
  prefetcht1 [rax + r8]
.endif
.if {vectors} > 2
  prefetcht1 [rax + 2 * r8]
.endif
.if {vectors} > 3
  prefetcht1 [rax + r14]
.endif
add rax, 64
dec r13
jnz 4b
add r12, [rdi + {step}]
5:
steps 4
cmp r9, r10
jb 3b
6:
cmp r9, r11
jae 8f
7:
steps 1
cmp r9, r11
jb 7b
8:
add rsi, 8 * {rows}
dec rdx
jnz 2b

9:
lea rsi, [r15 + {added}]
mov rdx, 2
2:
mov rax, [rsi]
mov r9, [rsi + 8]
shl r9, 2
add rsi, 16
test rax, rax
jz 3f
each_sum take
3:
dec rdx
jnz 2b
cmp qword ptr [r15 + {clamped}], 0
je 4f
vbroadcastss zmm30, dword ptr [r15 + {low}]
vbroadcastss zmm31, dword ptr [r15 + {high}]
each_sum clamp
4:
mov rax, [rdi + {c}]
mov r9, [rdi + {c_stride}]
shl r9, 2
each_sum give
vzeroupper
.purgem each_sum
.purgem clear
.purgem multiply
.purgem times
.purgem load_b
.purgem steps
.purgem many
.purgem once
.purgem next_row
.purgem take
.purgem clamp
.purgem give
.noaltmacro
