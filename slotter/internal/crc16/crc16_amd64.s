//go:build !purego

#include "textflag.h"

// reverse makes the masks for PSHUFB that turn bytes round: the 16 bytes of it
// from 16-n on put the first n bytes of a register in opposite order to its low
// end, and zeros behind them.
DATA reverse<>+0x00(SB)/8, $0x08090a0b0c0d0e0f
DATA reverse<>+0x08(SB)/8, $0x0001020304050607
DATA reverse<>+0x10(SB)/8, $0x8080808080808080
DATA reverse<>+0x18(SB)/8, $0x8080808080808080
GLOBL reverse<>(SB), RODATA|NOPTR, $32

DATA braces<>+0x00(SB)/8, $0x7b7b7b7b7b7b7b7b
DATA braces<>+0x08(SB)/8, $0x7b7b7b7b7b7b7b7b
GLOBL braces<>(SB), RODATA|NOPTR, $16

// func sum(p []byte) (crc uint16, brace bool)
TEXT ·sum(SB), NOSPLIT, $0-27
	CMPB ·fast(SB), $0
	JEQ  generic
	JMP  ·sumCLMUL(SB)

generic:
	JMP ·sumGeneric(SB)

// func sumCLMUL(p []byte) (crc uint16, brace bool)
TEXT ·sumCLMUL(SB), NOSPLIT, $0-27
	MOVQ  p_base+0(FP), SI
	MOVQ  p_len+8(FP), CX
	LEAQ  reverse<>(SB), R8
	MOVOU braces<>(SB), X7
	CMPQ  CX, $16
	JB    below16
	LEAQ  -1(CX), DX
	ANDQ  $15, DX              // bytes of the first block, less one
	MOVOU (SI), X0

head:
	// DX+1 bytes of X0 are the first block.
	MOVQ   R8, BX
	SUBQ   DX, BX
	MOVOU  15(BX), X1
	PSHUFB X1, X0
	MOVO   X0, X6
	PCMPEQB X7, X6             // where a brace is, in any block
	INCQ   DX
	SUBQ   DX, CX
	JZ     last
	ADDQ   DX, SI
	MOVOU  (R8), X5
	MOVOU  ·fold(SB), X4

next:
	MOVOU     (SI), X1
	PSHUFB    X5, X1
	MOVO      X1, X2
	PCMPEQB   X7, X2
	POR       X2, X6
	MOVO      X0, X3
	PCLMULQDQ $0x00, X4, X0
	PCLMULQDQ $0x11, X4, X3
	PXOR      X3, X0
	PXOR      X1, X0
	ADDQ      $16, SI
	SUBQ      $16, CX
	JNZ       next

last:
	MOVOU     ·reduce(SB), X4
	MOVO      X0, X1
	PCLMULQDQ $0x01, X4, X1    // high quadword of the block * x^80
	MOVQ      X1, AX           // its low 16 bits are not in what follows
	PSRLO     $2, X1
	PXOR      X0, X1           // the 80 bits less the low 16
	MOVO      X1, X2
	PCLMULQDQ $0x10, X4, X2
	PSRLO     $8, X2
	PXOR      X1, X2           // the quotient
	MOVL      $0x1021, BX
	MOVQ      BX, X3
	PCLMULQDQ $0x00, X3, X2
	MOVQ      X2, BX
	XORL      BX, AX
	MOVW      AX, crc+24(FP)
	PMOVMSKB  X6, BX
	TESTL     BX, BX
	SETNE     brace+26(FP)
	RET

below16:
	// A load of 16 bytes reaches beyond the message. That is no harm within a page
	// of memory; where the page ends the bytes come one by one.
	LEAQ  -1(CX), DX
	TESTQ CX, CX
	JZ    none
	MOVQ  SI, BX
	ANDL  $4095, BX
	CMPL  BX, $4080
	JA    edge
	MOVOU (SI), X0
	JMP   head

none:
	PXOR X0, X0
	JMP  head

edge:
	// Backwards into R9 and AX, so that the first byte is the lowest.
	XORL AX, AX
	XORL R9, R9

back:
	SHLQ    $8, AX, R9
	SHLQ    $8, AX
	MOVBLZX -1(SI)(CX*1), BX
	ORQ     BX, AX
	DECQ    CX
	JNZ     back
	LEAQ    1(DX), CX
	MOVQ    AX, X0
	PINSRQ  $1, R9, X0
	JMP     head
