//go:build !purego

#include "textflag.h"

// The algebra and the constants are explained in constants_amd64.go.
//
// The message is cut into blocks of 16 bytes counted from its end. What is left
// over at the start becomes a block too, with zeros in front: bytes of zero
// before a message do not change a sum that starts at 0. A sum so far is added
// (exclusive or) to the first 8 bytes of the message, wherever they lie.

// shuffle makes the masks for PSHUFB. 16 bytes of it from r on move the first r
// bytes of a register to its end; from 16+r on, bytes r and up to its start.
// Zeros come in.
DATA shuffle<>+0x00(SB)/8, $0x8080808080808080
DATA shuffle<>+0x08(SB)/8, $0x8080808080808080
DATA shuffle<>+0x10(SB)/8, $0x0706050403020100
DATA shuffle<>+0x18(SB)/8, $0x0f0e0d0c0b0a0908
DATA shuffle<>+0x20(SB)/8, $0x8080808080808080
DATA shuffle<>+0x28(SB)/8, $0x8080808080808080
GLOBL shuffle<>(SB), RODATA|NOPTR, $48

// present masks the last 64 bytes of a message for VPMASKMOVQ: 64 bytes of it
// from n on let the last n pass.
DATA present<>+0x40(SB)/8, $-1
DATA present<>+0x48(SB)/8, $-1
DATA present<>+0x50(SB)/8, $-1
DATA present<>+0x58(SB)/8, $-1
DATA present<>+0x60(SB)/8, $-1
DATA present<>+0x68(SB)/8, $-1
DATA present<>+0x70(SB)/8, $-1
DATA present<>+0x78(SB)/8, $-1
GLOBL present<>(SB), RODATA|NOPTR, $128

// func update(crc uint64, p []byte) uint64
TEXT ·update(SB), NOSPLIT, $0-40
	CMPB ·level(SB), $1
	JA   vpclmul
	JB   generic
	JMP  ·updateCLMUL(SB)

vpclmul:
	JMP ·updateVPCLMUL(SB)

generic:
	JMP ·updateGeneric(SB)

// func cpuidVPCLMULQDQ() bool
TEXT ·cpuidVPCLMULQDQ(SB), NOSPLIT, $0-1
	MOVL $7, AX
	XORL CX, CX
	CPUID
	SHRL $10, CX
	ANDL $1, CX
	MOVB CX, ret+0(FP)
	RET

// REDUCE takes X8 modulo P to AX. It overwrites X0, X1 and DX.
#define REDUCE \
	MOVOU     ·barrett(SB), X0    \
	MOVO      X8, X1              \
	PCLMULQDQ $0x00, X0, X1       \ // low quadword: the quotient
	MOVQ      X1, DX              \
	PCLMULQDQ $0x10, X0, X1       \ // high quadword: the quotient times P
	PXOR      X8, X1              \
	PEXTRQ    $1, X1, AX          \
	XORQ      DX, AX

// short sums the CX bytes at SI, fewer than 16, onto AX.
TEXT short<>(SB), NOSPLIT, $0-40
	MOVQ CX, DI
	SHLQ $3, DI            // bits of message
	CMPQ CX, $8
	JB   below8

	// The first 8 bytes and the last 8 overlap. The first lose at their end
	// what the last have.
	MOVQ    (SI), R8
	MOVQ    -8(SI)(CX*1), R9
	XORQ    AX, R8
	MOVQ    DI, CX         // modulo 64: the bits in front of the last 8 bytes
	SHRQ    CX, AX
	XORQ    AX, R9
	MOVL    $120, CX
	SUBQ    DI, CX
	SHLQ    CX, R8
	SHLQ    $8, R8         // in two steps, for it may be 64

	// L x^128 + H x^64. The low quadword is the one of x^64.
	MOVQ      R8, X8
	MOVQ      R9, X1
	MOVQ      ·foldTable+240(SB), X0
	PCLMULQDQ $0x00, X0, X8
	PXOR      X1, X8
	REDUCE
	MOVQ      AX, ret+32(FP)
	RET

below8:
	CMPQ CX, $4
	JB   below4
	MOVL (SI), R8
	MOVL -4(SI)(CX*1), R9
	LEAQ -32(DI), CX
	SHLQ CX, R9
	ORQ  R9, R8
	JMP  one

below4:
	TESTQ   CX, CX
	JZ      none
	MOVBLZX (SI), R8
	MOVBLZX -1(SI)(CX*1), R9
	SHRQ    $1, CX
	MOVBLZX (SI)(CX*1), R10
	SHLQ    $3, CX
	SHLQ    CX, R10
	LEAQ    -8(DI), CX
	SHLQ    CX, R9
	ORQ     R10, R8
	ORQ     R9, R8

one:
	// The message, 1 to 7 bytes, is in R8. As many bytes of the sum go into it,
	// the others only move on.
	XORQ AX, R8
	MOVQ DI, CX
	SHRQ CX, AX
	MOVQ AX, R9
	NEGQ CX                // modulo 64: 64 minus the bits
	SHLQ CX, R8
	MOVQ R8, X8
	REDUCE
	XORQ R9, AX

none:
	MOVQ AX, ret+32(FP)
	RET

// func updateCLMUL(crc uint64, p []byte) uint64
TEXT ·updateCLMUL(SB), NOSPLIT, $0-40
	MOVQ crc+0(FP), AX
	MOVQ p_base+8(FP), SI
	MOVQ p_len+16(FP), CX
	CMPQ CX, $16
	JAE  blocks
	JMP  short<>(SB)

blocks:
	LEAQ   (SI)(CX*1), R8          // end of the message
	LEAQ   ·foldTable+256(SB), R9  // end of the table
	LEAQ   shuffle<>(SB), R10
	MOVQ   CX, DX
	ANDQ   $15, DX                 // bytes in front of the first whole block
	SUBQ   DX, CX
	NEGQ   CX                      // from here on: minus the bytes to go
	MOVQ   AX, X1
	MOVOU  (SI), X0
	PXOR   X1, X0
	MOVOU  (R10)(DX*1), X2
	PSHUFB X2, X0                  // the block with zeros in front
	MOVOU  16(R10)(DX*1), X2
	PSHUFB X2, X1
	MOVOU  (R8)(CX*1), X2
	PXOR   X2, X1                  // the first whole block
	CMPQ   CX, $-256
	JLE    long

	MOVOU     -16(R9)(CX*1), X2
	MOVO      X0, X8
	PCLMULQDQ $0x00, X2, X8
	PCLMULQDQ $0x11, X2, X0
	MOVOU     (R9)(CX*1), X2
	MOVO      X1, X9
	PCLMULQDQ $0x00, X2, X9
	PCLMULQDQ $0x11, X2, X1
	PXOR      X0, X8
	PXOR      X1, X9
	ADDQ      $16, CX
	JZ        done

tail:
	MOVOU     (R8)(CX*1), X0
	MOVOU     (R9)(CX*1), X2
	MOVO      X0, X1
	PCLMULQDQ $0x00, X2, X0
	PCLMULQDQ $0x11, X2, X1
	PXOR      X0, X8
	PXOR      X1, X9
	ADDQ      $16, CX
	JNZ       tail

done:
	PXOR X9, X8
	REDUCE
	MOVQ AX, ret+32(FP)
	RET

long:
	// Eight blocks at a time are kept in X1 to X8, each folded onto the one 128
	// bytes later.
	MOVOU     ·fold16(SB), X2
	MOVO      X0, X3
	PCLMULQDQ $0x00, X2, X0
	PCLMULQDQ $0x11, X2, X3
	PXOR      X0, X1
	PXOR      X3, X1
	MOVOU     16(R8)(CX*1), X2
	MOVOU     32(R8)(CX*1), X3
	MOVOU     48(R8)(CX*1), X4
	MOVOU     64(R8)(CX*1), X5
	MOVOU     80(R8)(CX*1), X6
	MOVOU     96(R8)(CX*1), X7
	MOVOU     112(R8)(CX*1), X8
	MOVOU     ·fold128(SB), X0
	ADDQ      $128, CX

#define FOLD(off, x, t, u) \
	MOVOU     off(R8)(CX*1), u \
	MOVO      x, t             \
	PCLMULQDQ $0x00, X0, x     \
	PCLMULQDQ $0x11, X0, t     \
	PXOR      u, x             \
	PXOR      t, x

	PCALIGN $32

loop:
	FOLD(0, X1, X9, X10)
	FOLD(16, X2, X11, X12)
	FOLD(32, X3, X13, X14)
	FOLD(48, X4, X9, X10)
	FOLD(64, X5, X11, X12)
	FOLD(80, X6, X13, X14)
	FOLD(96, X7, X9, X10)
	FOLD(112, X8, X11, X12)
	ADDQ $128, CX
	CMPQ CX, $-128
	JLE  loop

	// The eight stand in front of what is left, as eight more blocks.
#define DRAIN(off, x, t) \
	MOVOU     off(R9)(CX*1), t \
	MOVO      x, X10           \
	PCLMULQDQ $0x00, t, x      \
	PCLMULQDQ $0x11, t, X10    \
	PXOR      X10, X9          \
	PXOR      x, X9

	PXOR X9, X9
	DRAIN(-128, X1, X11)
	DRAIN(-112, X2, X12)
	DRAIN(-96, X3, X13)
	DRAIN(-80, X4, X14)
	DRAIN(-64, X5, X11)
	DRAIN(-48, X6, X12)
	DRAIN(-32, X7, X13)
	DRAIN(-16, X8, X14)
	PXOR X8, X8
	TESTQ CX, CX
	JNZ  tail
	JMP  done

// func updateVPCLMUL(crc uint64, p []byte) uint64
TEXT ·updateVPCLMUL(SB), NOSPLIT, $0-40
	MOVQ p_base+8(FP), SI
	MOVQ p_len+16(FP), CX
	CMPQ CX, $16
	JAE  blocks
	MOVQ crc+0(FP), AX
	JMP  short<>(SB)

blocks:
	LEAQ         (SI)(CX*1), R8          // as in updateCLMUL
	LEAQ         ·foldTable+256(SB), R9
	LEAQ         shuffle<>(SB), R10
	MOVQ         CX, DX
	ANDQ         $15, DX
	SUBQ         DX, CX
	NEGQ         CX
	VMOVDQU      (R10)(DX*1), Y2         // both masks
	VMOVDQU      (SI), X0
	VPSHUFB      X2, X0, X0
	VINSERTI128  $1, (R8)(CX*1), Y0, Y0
	VPXOR        Y8, Y8, Y8
	VPBROADCASTQ crc+0(FP), Y1
	VPBLENDD     $0xcc, Y8, Y1, Y1       // the sum, in front of 8 zeros, twice
	VPSHUFB      Y2, Y1, Y1
	VPXOR        Y1, Y0, Y0              // the block with zeros in front and the first whole one
	CMPQ         CX, $-256
	JLE          long
	VMOVDQU      -16(R9)(CX*1), Y2
	VPCLMULQDQ   $0x00, Y2, Y0, Y8
	VPCLMULQDQ   $0x11, Y2, Y0, Y9

	// Up to four more blocks are taken without a branch, since their number is as
	// good as random and a wrong guess costs more than all four: of the last 64
	// bytes, load those that are there. Masked loads read nothing in front of the
	// message, but are very slow where that would have been an unmapped page, so
	// it has to be the page in which the message starts.
	CMPQ       CX, $-16
	JEQ        done
	CMPQ       CX, $-80
	JLT        medium
	ANDL       $4095, SI
	CMPL       SI, $48
	JB         medium
	LEAQ       present<>(SB), R11
	SUBQ       CX, R11
	VMOVDQU    -16(R11), Y3
	VMOVDQU    16(R11), Y4
	VPMASKMOVQ -64(R8), Y3, Y3
	VPMASKMOVQ -32(R8), Y4, Y4
	VMOVDQU    -64(R9), Y5
	VMOVDQU    -32(R9), Y6
	VPCLMULQDQ $0x00, Y5, Y3, Y7
	VPCLMULQDQ $0x11, Y5, Y3, Y3
	VPCLMULQDQ $0x00, Y6, Y4, Y10
	VPCLMULQDQ $0x11, Y6, Y4, Y4
	VPXOR      Y7, Y3, Y3
	VPXOR      Y10, Y4, Y4
	VPXOR      Y3, Y4, Y4
	VPXOR      Y4, Y8, Y8
	JMP        done

medium:
	ADDQ $16, CX

tail:
	CMPQ       CX, $-32
	JGT        tail16
	VMOVDQU    (R8)(CX*1), Y0
	VMOVDQU    (R9)(CX*1), Y2
	VPCLMULQDQ $0x00, Y2, Y0, Y1
	VPCLMULQDQ $0x11, Y2, Y0, Y0
	VPXOR      Y1, Y8, Y8
	VPXOR      Y0, Y9, Y9
	ADDQ       $32, CX
	JMP        tail

tail16:
	TESTQ      CX, CX
	JZ         done
	VMOVDQU    -16(R8), X0
	VMOVDQU    -16(R9), X2
	VPCLMULQDQ $0x00, X2, X0, X1
	VPCLMULQDQ $0x11, X2, X0, X0
	VPXOR      Y1, Y8, Y8
	VPXOR      Y0, Y9, Y9

done:
	VPXOR        Y8, Y9, Y9
	VEXTRACTI128 $1, Y9, X8
	VPXOR        X8, X9, X8
	VZEROUPPER
	REDUCE
	MOVQ AX, ret+32(FP)
	RET

long:
	// Eight blocks in four registers.
	VEXTRACTI128   $1, Y0, X1
	VMOVDQU        ·fold16(SB), X2
	VPCLMULQDQ     $0x00, X2, X0, X3
	VPCLMULQDQ     $0x11, X2, X0, X0
	VPXOR          X3, X1, X1
	VPXOR          X0, X1, X1
	VINSERTI128    $1, 16(R8)(CX*1), Y1, Y1
	VMOVDQU        32(R8)(CX*1), Y2
	VMOVDQU        64(R8)(CX*1), Y3
	VMOVDQU        96(R8)(CX*1), Y4
	VBROADCASTI128 ·fold128(SB), Y0
	ADDQ           $128, CX

#define VFOLD(off, y, t) \
	VPCLMULQDQ $0x00, Y0, y, t       \
	VPCLMULQDQ $0x11, Y0, y, y       \
	VPXOR      off(R8)(CX*1), t, t   \
	VPXOR      t, y, y

	PCALIGN $32

loop:
	VFOLD(0, Y1, Y9)
	VFOLD(32, Y2, Y10)
	VFOLD(64, Y3, Y11)
	VFOLD(96, Y4, Y12)
	ADDQ $128, CX
	CMPQ CX, $-128
	JLE  loop

#define VDRAIN(off, i, y, t) \
	VMOVDQU    off(R9)(i*1), t  \
	VPCLMULQDQ $0x00, t, y, Y5  \
	VPCLMULQDQ $0x11, t, y, y   \
	VPXOR      Y5, Y8, Y8       \
	VPXOR      y, Y9, Y9

	VPXOR Y8, Y8, Y8
	VPXOR Y9, Y9, Y9
	VDRAIN(-128, CX, Y1, Y10)
	VDRAIN(-96, CX, Y2, Y11)
	VDRAIN(-64, CX, Y3, Y12)
	VDRAIN(-32, CX, Y4, Y13)
	JMP tail

// func Seal(dst []byte, first byte, p []byte, last uint16)
//
// The message is first, the bytes of p, last. It is cut into blocks as above: X0
// becomes the first, X1 the last, and those between the two lie in p as they are. Where
// dst is too short sealGeneric says so.
TEXT ·Seal(SB), NOSPLIT|NOFRAME, $0-58
	MOVQ  p_len+40(FP), CX
	CMPB  ·level(SB), $1
	JB    generic
	LEAQ  -1(CX), DX
	CMPQ  DX, $252                 // with more it has more blocks than the table rows
	JA    above253

room:
	LEAQ  11(CX), DX
	CMPQ  DX, dst_len+8(FP)
	JA    generic
	MOVQ  dst_base+0(FP), DI
	MOVQ  p_base+32(FP), SI
	LEAQ  shuffle<>(SB), R10
	CMPQ  CX, $16
	JB    below16
	MOVOU (SI), X0
	MOVOU -16(SI)(CX*1), X1
	PSRLO $2, X1

ends:
	PSLLO     $1, X0
	PINSRB    $0, first+24(FP), X0 // first and the first 15 bytes of p
	PINSRW    $7, last+56(FP), X1  // the last 14 bytes of p and last
	MOVOU     X0, (DI)
	MOVOU     X1, -13(DI)(CX*1)
	LEAQ      -14(CX), DX          // bytes of p in front of the last block
	MOVQ      DX, AX
	ANDQ      $15, DX              // and of these in the first block
	ADDQ      DX, SI
	LEAQ      1(DI)(DX*1), R8
	MOVOU     1(R10)(DX*1), X2
	PSHUFB    X2, X0
	SUBQ      AX, DX               // minus the bytes of the blocks between
	SUBQ      DX, SI               // where these end
	SUBQ      DX, R8               // and where in dst
	LEAQ      ·foldTable+256(SB), R9
	MOVOU     -16(R9), X3
	MOVO      X1, X4
	PCLMULQDQ $0x00, X3, X4
	PCLMULQDQ $0x11, X3, X1
	PXOR      X4, X1
	CMPQ      DX, $-128
	JLE       many

few:
	MOVOU     -32(R9)(DX*1), X3
	MOVO      X0, X8
	PCLMULQDQ $0x00, X3, X8
	PCLMULQDQ $0x11, X3, X0
	PXOR      X0, X8
	PXOR      X1, X8
	TESTQ     DX, DX
	JZ        done

between:
	MOVOU     (SI)(DX*1), X0
	MOVOU     X0, (R8)(DX*1)
	MOVOU     -16(R9)(DX*1), X3
	MOVO      X0, X4
	PCLMULQDQ $0x00, X3, X4
	PCLMULQDQ $0x11, X3, X0
	PXOR      X4, X8
	PXOR      X0, X8
	ADDQ      $16, DX
	JNZ       between

done:
	REDUCE
	MOVQ AX, 3(DI)(CX*1)
	RET

above253:
	CMPB ·level(SB), $1
	JEQ  generic
	TESTQ CX, CX
	JNZ  room

generic:
	JMP ·sealGeneric(SB)

many:
	CMPB ·level(SB), $1
	JEQ  few

	// As in updateVPCLMUL: eight blocks in four registers, the first folded into the
	// one behind it, and the last left for the end.
	VMOVDQU        ·fold16(SB), X2
	VPCLMULQDQ     $0x00, X2, X0, X3
	VPCLMULQDQ     $0x11, X2, X0, X0
	VPXOR          X3, X0, X0
	VMOVDQU        (SI)(DX*1), Y6
	VMOVDQU        32(SI)(DX*1), Y2
	VMOVDQU        64(SI)(DX*1), Y3
	VMOVDQU        96(SI)(DX*1), Y4
	VMOVDQU        Y6, (R8)(DX*1)
	VMOVDQU        Y2, 32(R8)(DX*1)
	VMOVDQU        Y3, 64(R8)(DX*1)
	VMOVDQU        Y4, 96(R8)(DX*1)
	VPXOR          Y6, Y0, Y6
	VBROADCASTI128 ·fold128(SB), Y0
	ADDQ           $128, DX
	CMPQ           DX, $-128
	JGT            drain

	PCALIGN $32

loop:
#define SEALFOLD(off, y, t, u) \
	VMOVDQU    off(SI)(DX*1), u      \
	VPCLMULQDQ $0x00, Y0, y, t       \
	VPCLMULQDQ $0x11, Y0, y, y       \
	VMOVDQU    u, off(R8)(DX*1)      \
	VPXOR      u, t, t               \
	VPXOR      t, y, y

	SEALFOLD(0, Y6, Y9, Y13)
	SEALFOLD(32, Y2, Y10, Y14)
	SEALFOLD(64, Y3, Y11, Y13)
	SEALFOLD(96, Y4, Y12, Y14)
	ADDQ $128, DX
	CMPQ DX, $-128
	JLE  loop

drain:
	VPXOR        Y8, Y8, Y8
	VPXOR        Y9, Y9, Y9
	VDRAIN(-144, DX, Y6, Y10)
	VDRAIN(-112, DX, Y2, Y11)
	VDRAIN(-80, DX, Y3, Y12)
	VDRAIN(-48, DX, Y4, Y13)
	VPXOR        Y8, Y9, Y9
	VEXTRACTI128 $1, Y9, X8
	VPXOR        X8, X9, X8
	VPXOR        X1, X8, X8
	VZEROUPPER
	TESTQ        DX, DX
	JNZ          between
	JMP          done

below16:
	// A load of 16 bytes reaches beyond p. That is no harm within a page of memory;
	// where the page ends the bytes come one by one.
	MOVQ  SI, BX
	ANDL  $4095, BX
	CMPL  BX, $4080
	JA    edge
	MOVOU (SI), X0

loaded:
	CMPQ   CX, $14
	JB     single
	MOVO   X0, X1
	MOVOU  2(R10)(CX*1), X2
	PSHUFB X2, X1
	JMP    ends

single:
	// One block. What X0 has behind the message goes where the sum is then written.
	PSLLO     $1, X0
	PINSRB    $0, first+24(FP), X0
	MOVWLZX   last+56(FP), BX
	MOVO      X0, X1
	MOVOU     3(R10)(CX*1), X2
	PSHUFB    X2, X1
	PINSRW    $7, BX, X1
	MOVL      $8, AX
	LEAQ      3(CX), DX
	CMPQ      DX, AX
	CMOVQLT   DX, AX
	MOVQ      X0, (DI)
	PEXTRQ    $1, X0, (DI)(AX*1)
	MOVW      BX, 1(DI)(CX*1)
	MOVOU     ·foldTable+240(SB), X3
	MOVO      X1, X8
	PCLMULQDQ $0x00, X3, X8
	PCLMULQDQ $0x11, X3, X1
	PXOR      X1, X8
	JMP       done

edge:
	// Backwards into R9 and AX, so that the first byte is the lowest.
	XORL AX, AX
	XORL R9, R9
	MOVQ CX, DX

back:
	SHLQ    $8, AX, R9
	SHLQ    $8, AX
	MOVBLZX -1(SI)(DX*1), BX
	ORQ     BX, AX
	DECQ    DX
	JNZ     back
	MOVQ    AX, X0
	PINSRQ  $1, R9, X0
	JMP     loaded
