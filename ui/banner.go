package ui

import "strings"

// letters are the big letters, 5 pixels wide and 6 high: all that PASS, FAIL
// and HOLD need.
var letters = map[rune][6]string{
	'P': {"####.", "#...#", "#...#", "####.", "#....", "#...."},
	'A': {".###.", "#...#", "#...#", "#####", "#...#", "#...#"},
	'S': {".####", "#....", ".###.", "....#", "....#", "####."},
	'F': {"#####", "#....", "####.", "#....", "#....", "#...."},
	'I': {"#####", "..#..", "..#..", "..#..", "..#..", "#####"},
	'L': {"#....", "#....", "#....", "#....", "#....", "#####"},
	'H': {"#...#", "#...#", "#####", "#...#", "#...#", "#...#"},
	'O': {".###.", "#...#", "#...#", "#...#", "#...#", ".###."},
	'D': {"####.", "#...#", "#...#", "#...#", "#...#", "####."},
}

// bigHeight and smallHeight are the rows of a word in big letters.
const (
	bigHeight   = 6
	smallHeight = 3
)

// big draws a word: 6 rows with two columns for each pixel, or 3 rows with two
// pixels in each cell.
func (g glyphs) big(word string, height int) []string {
	rows := make([]strings.Builder, height)
	for i, r := range word {
		shape := letters[r]
		if i > 0 {
			for j := range rows {
				rows[j].WriteString(strings.Repeat(" ", 1+height/bigHeight))
			}
		}
		for x := range 5 {
			for y := range rows {
				rows[y].WriteString(g.cell(shape, x, y, height))
			}
		}
	}
	out := make([]string, height)
	for i := range rows {
		out[i] = rows[i].String()
	}
	return out
}

func (g glyphs) cell(shape [6]string, x, y, height int) string {
	if height == bigHeight {
		if shape[y][x] == '#' {
			return g.pixel + g.pixel
		}
		return "  "
	}
	top, bottom := shape[2*y][x] == '#', shape[2*y+1][x] == '#'
	switch {
	case top && bottom:
		return g.pixel
	case top:
		return g.upper
	case bottom:
		return g.lower
	}
	return " "
}
