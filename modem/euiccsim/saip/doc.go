// Package saip reads unprotected profile packages: the interoperable format of
// the Trusted Connectivity Alliance (SIMalliance eUICC Profile Package, versions
// 2 and 3), a sequence of DER-encoded profile elements. It reads what an eUICC
// needs to install and to answer a module: the header, the PIN and key elements'
// shape, and the file system with its contents. It knows the templates' file
// identifiers only; a template file without descriptor is created when its
// identifier and structure are known here, and skipped otherwise.
//
// A [Reader] takes the package in pieces, as it is decrypted, and works on each
// element as soon as it is whole, so that a broken element is found before the
// rest is there. Its errors are of type *[Error] and hold the status that goes
// into an EUICCResponse.
//
//	r := saip.NewReader(1 << 20)
//	err := r.Write(piece)       // any number of times
//	p, err := r.Close()
//	fmt.Println(p.Header.ICCID, p.IMSI())
//
// The ICCID of the header is plain BCD; EF_ICCID and the metadata's tag 5A are
// nibble-swapped. Identifiers that it returns are in the latter form.
//
// Limits: no more memory than the package is long and the file sizes that it
// declares, together at most [MaxFiles] bytes; files are not executed, applets
// and keys are kept as bytes.
package saip
