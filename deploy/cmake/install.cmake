# What `cmake --install` puts in place beside the program: everything below core/ and proto/ as one static library, libsdg.a,
# its headers under include/sdg (they include each other as "core/base/buf.h"), and sdg.pc for pkg-config.
set(archive_objects)
get_property(rooms GLOBAL PROPERTY SDG_ROOMS)
foreach(room ${rooms})
  if(NOT room MATCHES "^sdg_actors_")
    list(APPEND archive_objects $<TARGET_OBJECTS:${room}>)
  endif()
endforeach()
if(archive_objects)
  add_library(sdg_archive STATIC ${archive_objects})
  set_target_properties(sdg_archive PROPERTIES OUTPUT_NAME sdg LINKER_LANGUAGE CXX)
  install(TARGETS sdg_archive ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(DIRECTORY core proto DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/sdg
  FILES_MATCHING PATTERN "*.h" PATTERN "*.def")

# The prefix is taken from where the file lies, so that `cmake --install --prefix` and a moved tree work.
file(RELATIVE_PATH PC_UP /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
get_filename_component(PC_MSGPACK ${MSGPACK_LIBRARY} NAME_WE)
string(REGEX REPLACE "^lib" "" PC_MSGPACK ${PC_MSGPACK})
configure_file(deploy/cmake/sdg.pc.in ${CMAKE_BINARY_DIR}/sdg.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/sdg.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
