//go:build !purego

package crc64

// The constants of the carry-less multiplications in crc64_amd64.s.
//
// How bytes, registers and polynomials correspond. The sum is reflected: the
// lowest bit of the first byte is the highest power. So 16 bytes loaded into a
// register are the polynomial whose x^(127-i) is bit i; the low quadword L, the
// first 8 bytes, are its upper half: L x^64 + H. A quadword alone has x^(63-i)
// at bit i. Multiplying two such quadwords leaves x^126 at bit 0 of the product,
// and read as a register that is a factor x too much. Constants therefore hold
// one power less than they stand for.
//
// All of it is modulo P, the Jones polynomial with its x^64, and the sum of a
// message M is M x^64 mod P. TestConstants derives every value from P.

// foldTable takes blocks of 16 bytes straight to where the final reduction wants
// them. A block with j more blocks behind it counts
//
//	(L x^64 + H) x^(128j) x^64 = L x^(128j+128) + H x^(128j+64)
//
// and its row holds what L and H have to be multiplied by. The rows lie in the
// order of the data: the last for the last block, so one index counted from the
// end serves both, and no block waits for the one before it.
var foldTable = [16][2]uint64{
	{0x9471a5389095fe44, 0x7c5ffeadcfc70cd6}, // 15
	{0xd2f094f83d7585dd, 0xedd164398e09d84f}, // 14
	{0xf9135fd5ca656caa, 0x01059e2752cba61c}, // 13
	{0x1e0c2595be5cb1bb, 0xcbcd47b99e22d5b0}, // 12
	{0x63e4ab47040cbd21, 0x8a8fcf2e749445d5}, // 11
	{0xb85df01084b457ea, 0x2fdbffa4ed8af272}, // 10
	{0x7f1e148f8a506de0, 0x64dcbb8303a83619}, // 9
	{0x014e2a64dd870773, 0xcc26fa7c57f8054c}, // 8
	{0x768361524d29ed0b, 0x6cf09c8f37710b75}, // 7
	{0x5bc94ba8e2087636, 0xbccba3936411fb7e}, // 6
	{0x3885fd59e440d95a, 0xb715e37b96ed8633}, // 5
	{0xe4dd0d81cbfce585, 0xaf86efb16d9ab4fb}, // 4
	{0xf49784a634f014e4, 0xa062b2319d66692f}, // 3
	{0x7b3211a760160db8, 0x6ba4d760ab38201e}, // 2
	{0xef3d1d18ed889ed2, 0xd9d7be7d505da32c}, // 1
	{0x381d0015c96f4444, 0x0000000000000001}, // 0
}

// Folding a block over d bits, onto the block that starts d bits later, is
// L x^(d+64) + H x^d: the factors for one block and for eight.
var (
	fold16  = [2]uint64{0xd9d7be7d505da32c, 0x381d0015c96f4444}
	fold128 = [2]uint64{0xcc26fa7c57f8054c, 0x768361524d29ed0b}
)

// barrett reduces a register L x^64 + H to H + (L x^64 mod P). The quotient is
// floor(L mu / x^64) with mu = floor(x^128 / P), the remainder L x^64 minus the
// quotient times P. Both mu and P have 65 coefficients; reflected over 65 bits,
// which also makes up for the factor x, their x^64 to x^1 fit. The missing
// x^0 of mu cannot reach the quotient; that of P adds the quotient itself.
var barrett = [2]uint64{0x3e6cfa329aef9f77, 0x2b5926535897936b}
