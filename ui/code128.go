package ui

import (
	"fmt"
	"strings"
)

// patterns are the symbol characters of Code 128 (ISO/IEC 15417, table 1) as
// widths of bar, space, bar, space, bar, space; the stop character has one bar
// more. The value of a character is its place.
var patterns = strings.Fields(`
212222 222122 222221 121223 121322 131222 122213 122312 132212 221213
221312 231212 112232 122132 122231 113222 123122 123221 223211 221132
221231 213212 223112 312131 311222 321122 321221 312212 322112 322211
212123 212321 232121 111323 131123 131321 112313 132113 132311 211313
231113 231311 112133 112331 132131 113123 113321 133121 313121 211331
231131 213113 213311 213131 311123 311321 331121 312113 312311 332111
314111 221411 431111 111224 111422 121124 121421 141122 141221 112214
112412 122114 122411 142112 142211 241211 221114 413111 241112 134111
111242 121142 121241 114212 124112 124211 411212 421112 421211 212141
214121 412121 111143 111341 131141 114113 114311 411113 411311 113141
114131 311141 411131 211412 211214 211232 2331112`)

// Values of special characters.
const (
	startB      = 104
	stopSymbol  = 106
	checkModulo = 103
)

// quietZone is the white space that a symbol needs on both sides, in modules.
const quietZone = 10

// code128 encodes printable ASCII in code set B: the modules of the symbol,
// true where there is a bar, without the quiet zones.
func code128(s string) ([]bool, error) {
	values := []int{startB}
	sum := startB
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return nil, fmt.Errorf("barcode: character %d is no printable ASCII", i+1)
		}
		v := int(s[i] - ' ')
		values = append(values, v)
		sum += (i + 1) * v
	}
	values = append(values, sum%checkModulo, stopSymbol)
	var modules []bool
	for _, v := range values {
		for i, width := range patterns[v] {
			for range width - '0' {
				modules = append(modules, i%2 == 0)
			}
		}
	}
	return modules, nil
}
