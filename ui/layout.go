package ui

// layout says how the slots and the banner share the screen.
type layout struct {
	width, height int
	banner        int  // rows of the banner: bigHeight, smallHeight or 1
	columns       int  // of cells
	rows          int  // of cells on a page
	cell          int  // width of a cell
	detail        bool // one full row for each slot, with a heading
	pages         int
}

// Fixed rows: header, counters, three of messages, scan field, keys.
const fixedRows = 7

// Limits of the window.
const (
	minWidth    = 60
	minHeight   = 12
	detailWidth = 76 // least width for one full row a slot
	cellWidth   = 15 // least width of a cell
)

// arrange finds the roomiest layout in which all slots are on one page, else
// the one with the most slots on a page.
func arrange(width, height, slots int) layout {
	slots = max(slots, 1)
	free := height - fixedRows
	l := layout{width: width, height: height, pages: 1}
	for _, banner := range []int{bigHeight, smallHeight} {
		if width >= detailWidth && slots+1 <= free-banner {
			l.banner, l.columns, l.rows, l.cell, l.detail = banner, 1, free-banner-1, width, true
			return l
		}
		if banner == smallHeight {
			break
		}
		for n := 2; width/n >= cellWidth && n <= 4; n++ {
			if n*(free-banner) >= slots {
				return l.cells(n, free-banner, banner)
			}
		}
	}
	for _, banner := range []int{smallHeight, 1} {
		for n := 2; width/n >= cellWidth && n <= 6; n++ {
			if n*(free-banner) >= slots {
				return l.cells(n, free-banner, banner)
			}
		}
	}
	most := max(min(width/cellWidth, 6), 1)
	l = l.cells(most, max(free-1, 1), 1)
	l.pages = (slots + l.columns*l.rows - 1) / (l.columns * l.rows)
	return l
}

func (l layout) cells(columns, rows, banner int) layout {
	l.columns, l.rows, l.banner, l.cell = columns, rows, banner, l.width/columns
	return l
}

// perPage is how many slots a page has.
func (l layout) perPage() int { return l.columns * l.rows }

// body is the rows between counters and messages.
func (l layout) body() int { return l.height - fixedRows }
