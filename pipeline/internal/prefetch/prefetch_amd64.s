//go:build !purego

#include "textflag.h"

// PREFETCHW off(AX), which the assembler does not know. A processor that does not
// know it either passes over it.
#define PREFETCHW(off) BYTE $0x0f; BYTE $0x0d; BYTE $0x88; LONG $off

// func ahead(buf, cmds unsafe.Pointer)
TEXT ·ahead(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ buf+0(FP), AX
	PREFETCHW(64)
	PREFETCHW(128)
	PREFETCHW(192)
	PREFETCHW(256)
	PREFETCHW(320)
	PREFETCHW(384)
	PREFETCHW(448)
	PREFETCHW(512)
	MOVQ cmds+8(FP), AX
	PREFETCHW(64)
	RET
