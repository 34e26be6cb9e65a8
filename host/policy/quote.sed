# Makes each line a C string with its newline.
s/[\\"]/\\&/g
s/.*/"&\\n"/
