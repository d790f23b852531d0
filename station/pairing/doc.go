// Package pairing keeps the module maker's pairing lists: which module (IMEI)
// was built with which eUICC (EID), with what firmware and bootstrap profile, on
// which reel. A unit that is on no list, whose module and eUICC do not belong
// together, or whose module or eUICC another unit has used, is held before a
// profile is reserved for it (steps.Pairing).
//
// # Lists
//
// [Read] reads a list from CSV; all mistakes come at once, and nothing of a file
// with a mistake is used. [Book.Import] writes it into the station's log in
// pieces, and puts it into force with its last entry: an import that was
// interrupted counts for nothing, and is done again. A line may correct an
// earlier one only where the import says so; then the newest list counts.
//
// # Use
//
// A module and an eUICC are used by the unit whose identity was bound on the
// fixture (step kind unit.bind), whatever became of the unit. When a module is
// built into another unit a lead frees it ([Book.Free]).
//
// # State
//
// Everything is derived from the log ([Projection]); the package has no
// goroutines and no files. A Book may be used from any goroutine.
//
//	book := pairing.NewBook(store.View, journal)
//	imported, err := book.Import(ctx, lead, "reel-17.csv", data, false)
//	judgement, err := book.Judge("SN1", identity)
package pairing
