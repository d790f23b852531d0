// Package stock keeps the station's eSIM profiles: a vault for what is secret
// and a ledger of who may use what.
//
// # Vault
//
// DIR/vault is a folder (mode 0700) of sealed files, one per item, and a head.
// [OpenVault] makes it; one process, the holder of the store's lock, owns it.
//
//	HEAD               three lines: "linefit vault/1", the vault's id, a check value
//	<handle>.<kind>    "LFV1", 32 bytes of salt, 12 of nonce, sealed text, 16 of tag
//
// A handle is 128 random bits in lower-case base 32 (26 characters); nothing
// about an item can be told from it. The key is 32 random bytes from a
// [KeySource]: a key file, a systemd credential, a TPM behind the interface.
// Each item is sealed with AES-256-GCM under a key of its own, HKDF-SHA256 of
// the vault's key and the salt; the associated data is "linefit vault/1", the
// vault's id and the file's name, so that an item that was torn, altered,
// renamed or brought from another vault is [ErrDamaged]. The check value is
// HKDF of the key and the id: a wrong key is found out when the vault is opened
// ([ErrWrongKey]), and no item is ever read with it.
//
// An item is written under another name, flushed, renamed, and the folder is
// flushed; only then is its handle given out. So a file under its own name is
// whole. Deleting overwrites, flushes, unlinks and flushes the folder; on flash
// and on copy-on-write file systems old blocks may stay, and these are sealed.
// Whoever has the key and the folder has the codes: keep the key elsewhere (a
// TPM-bound credential) where that matters.
//
// Items are never written twice and never change. An item has at most
// [MaxItem] bytes. A rebuild of what is derived from the log never touches the
// vault.
//
// # Ledger
//
// The ledger is [Projection], derived from the log alone: station.StockItem by
// handle, with indexes by state, batch, ICCID, EID and run. No secret, and no
// hash of one, is in it or in the log. [Ledger.Reserve] chooses one profile at a
// time, writes station.ProfileReserved, and returns when that is durable;
// [Ledger.Code] opens the activation code of a reserved profile only. So after
// a crash the ledger knows of every code that may have left the vault:
//
//	crash before the fact is durable   the code never left; another run gets it
//	crash after it                     the run goes on and gets the same one
//
// How a reservation ends is decided by station.Settle. A profile that a server
// or an eUICC may know of is never put back as unused: it waits for the same
// eUICC, or for a person.
//
// # Import
//
// [Ledger.Import] takes a list of activation codes as CSV or JSON, all of it or
// nothing, and shows every mistake of a list at once. A CSV file has a line
// that names its columns (comma, semicolon or tab between them):
//
//	batch,activation_code,confirmation_code,iccid,eid,operator,region,customer,sku,cap,expires
//	B-17,LPA:1$smdp.example.com$K7-XY,,8949000000000000018,,acme,EU,,,3,2027-12-31
//
// smdp and matching_id may stand in place of activation_code. JSON has the same
// names as members, in an array or in {"batch": {...}, "profiles": [...]},
// where batch has the terms of station.StockBatch. A file has at most 64 MB and
// 200,000 profiles.
//
// [Ledger.ImportBatch] does the same with a batch of prepared packages (SGP.41),
// which are signed by an SM-DP+ that counts here, each for one eUICC and one try.
//
// # Codes from the MES
//
// [Ledger.Issue] takes a code that the MES hands out with a route check: sealed
// together with the fact that the log gets about it, then that fact, which
// reserves it for the run. What a run did not use goes back ([Ledger.Withdraw],
// station.Settle, [Ledger.Tidy]) and is then no profile of this station any more;
// the same code may come again under another ref.
//
// # Alarms and levels
//
// [Ledger.Raise] writes what shows that somebody else has a code, once for each
// finding, and takes the code out of use. [Ledger.Announce] writes once per
// crossing that a kind of profile runs out or is there again.
//
// A profile that names a customer or SKU, itself or by its batch, is offered to
// such orders only, one whose batch names a work order to that work order only.
package stock
