// Package people keeps who stands behind the log's pseudonyms. A person enters a
// name or a badge; the log, and all that is made from it, only ever has a
// pseudonym. The mapping lies outside of the log, in the vault, one sealed item
// for each person, and can be erased.
//
// # Pseudonym
//
//	op- + base32(HMAC-SHA-256(salt, first identifier))[:12]
//
// in small letters, with a random salt of 32 bytes that each person has alone and
// that lies only in the person's item. An identifier is compared in the form NFKC,
// without case, with single spaces. The first one that is entered makes the
// person; [Book.Link] adds others, so that name and badge are one person.
//
// # Forgetting
//
// [Book.Forget] first writes the fact, which has the pseudonym only, and then
// erases the item. Without the salt nobody can link the pseudonym to the person,
// not by trying every badge either; the log's tree is untouched. What a crash
// leaves between the two [Book.Recover] finishes. A forgotten pseudonym is no
// longer taken for a person, so nobody acts twice under an old and a new one; the
// same person gets a new pseudonym. Who holds a ticket gives it back first.
//
// # Limits
//
// A backup has the items that it was made with. An identifier that was never
// linked is a person of its own: who may open the station's socket says who acts.
// At most 10,000 people; identifiers of up to 64 characters.
//
//	book, err := people.Open(people.Options{Vault: vault, Views: log.View, Journal: journal})
//	actor, err := book.Resolve("Anna Schmidt") // "op-4kq7mzs2xwta", made at first use
//	_, err = book.Forget(ctx, qa, "Anna Schmidt", "has left")
package people
