package slotter

import "testing"

// TestMasked: a secret is masked wherever it stands, but for a short one within a word.
func TestMasked(t *testing.T) {
	for _, c := range []struct{ text, secret, want string }{
		{"ERR unknown command 'HELLO', with args: 'AUTH' 's3cret-x' xs3cret-xy", "s3cret-x", "ERR unknown command 'HELLO', with args: 'AUTH' '***' x***y"},
		{"ERR unknown command `HELLO`, with args beginning with: `2`, `AUTH`, `e`, ", "e", "ERR unknown command `HELLO`, with args beginning with: `2`, `AUTH`, `***`, "},
		{"NOAUTH a aa ab a a", "a", "NOAUTH *** aa ab *** ***"},
		{"args !! é!x", "!", "args ****** é!x"},
		{"7 of 77", "7", "*** of 77"},
	} {
		if got := masked(c.text, c.secret); got != c.want {
			t.Errorf("%q without %q: %q, want %q", c.text, c.secret, got, c.want)
		}
	}
}
