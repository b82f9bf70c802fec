-- Records of several clusters can't go back into tables that are made for one.
SELECT 1;
