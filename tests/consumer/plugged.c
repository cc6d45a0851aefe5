/* Opens the model that its argument names, by a library that lies elsewhere. */
int open_model(const char* name);

int main(int count, char** arguments) { return count == 2 ? open_model(arguments[1]) : 2; }
