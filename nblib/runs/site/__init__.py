"""What a rendered page needs beside its text: `furniture`, the scripts of `vendor`, and `single`, all of it in one file."""
