package pipeline

import (
	"strconv"
	"strings"
)

// counted writes a number and its noun: "1 key", "0 keys", "2 entries".
func counted[N int | int64](n N, noun string) string {
	text := strconv.FormatInt(int64(n), 10) + " "
	if n == 1 {
		return text + noun
	}
	if stem, ok := strings.CutSuffix(noun, "ry"); ok {
		return text + stem + "ries"
	}
	return text + noun + "s"
}
